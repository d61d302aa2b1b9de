"""Beam search as a machine that can be stepped: sentences come, all advance by one token, the ended leave.

It knows no model, only a `Stepper`, and no text, only token ids. A beam of one is greedy search.

The rule, for each sentence by itself: a finished hypothesis keeps its place in the beam, so that while F have
finished, the K - F likeliest continuations of the live rows are taken; those that end the sentence are finished,
the others live on. It is done when K have finished, at its maximum length, or when no live row can still enter
the `n_best`. The last is safe: a sum of log-probabilities only falls, the length penalty only grows and coverage
is never above 0, so `log_prob / length_penalty(maximum length)` is a bound on all that a row may become.

Were the places of the finished filled again, unlikely short hypotheses, K of them, could end the search while the
likeliest is still being written. As it is, the last place belongs to the likeliest, and it is always finished.

Nor does a row live on that is less likely than the likeliest that lives on by more than `pruning_threshold` (but for
the first `n_best`): in most steps the model is sure, and then the lower half of a beam costs as much as the upper and
never wins.

And where one hypothesis is wanted, the likeliest decides after `decision_delay` tokens: a row that differs from it so
far back does not live on. Else two that differ in their first word could run side by side to the end of a long
sentence, and who reads along would read nothing. It is how a Viterbi decoder of a stream decides.

Nor does a row ever say `no_repeat_ngram_size` tokens again, see `translator.no_repeat`.

Letters: B live sentences · K beam size · N rows, at most B * K · V vocabulary · S source length.

Source: Wu et al. 2016, section 7, for the scores; the beam that shrinks is Sutskever et al. 2014, 3.2; the threshold,
Freitag & Al-Onaizan 2017, "Beam Search Strategies for Neural Machine Translation", absolute threshold pruning, which
here holds for what lives on, not for what ends; the delay, Forney 1973, "The Viterbi Algorithm", on survivors that are
truncated.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from translator.beam_answers import read_answers
from translator.beam_history import BeamHistory
from translator.beam_rows import DEAD, Candidates, Floats, Integers, Place, Rows, picked
from translator.beams import Beams, new_beams
from translator.config import DecodingOptions
from translator.errors import ConfigError
from translator.no_repeat import find_repeats
from translator.repetition import repeats_itself
from translator.scoring import Hypothesis, length_penalty
from translator.stepper import StepOutput, Stepper


class _Sentence(NamedTuple):
    ticket: int
    place: Place


class BeamSearch:
    """Beam search over any number of sentences, none of which sees the others; not thread-safe.

    Args:
        stepper: The model; it belongs to this search alone.
        bos_id: The token every hypothesis starts from; not part of the result.
        eos_id: The token that ends one; part of the result.
        options: Beam size, penalties, lengths; the same for all sentences of this search.
        forbidden_ids: Tokens never produced: padding, bos, language tokens.
        device: Where the stepper's tensors are.

    Raises:
        ConfigError: `eos_id` is forbidden.
    """

    def __init__(
        self,
        stepper: Stepper,
        *,
        bos_id: int,
        eos_id: int,
        options: DecodingOptions,
        forbidden_ids: Sequence[int] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        """Start without sentences."""
        if eos_id in forbidden_ids:
            raise ConfigError(f"forbidden_ids holds the eos_id {eos_id}: nothing could end; take it out.")
        stepper.forbid(forbidden_ids)
        self._stepper, self._options = stepper, options
        self._bos_id, self._eos_id = bos_id, eos_id
        self._device = torch.device(device)
        self._forbidden_ids = torch.tensor(list(forbidden_ids), dtype=torch.int64, device=self._device)
        self._history = BeamHistory(options.beam_size, self._device)
        self._sentences: list[_Sentence] = []
        self._beams = self._new_beams([])
        self._cancelled: set[int] = set()
        self._length_penalties = np.ones(0, dtype=np.float32)  # [length]
        self._admitted = 0

    @property
    def live(self) -> int:
        """Sentences admitted that have neither ended nor been cancelled."""
        return len(self._sentences) - len(self._cancelled)

    def admit(self, sources: Sequence[Sequence[int]], *, n_best: Sequence[int] | None = None) -> list[int]:
        """Take sentences in, at any step; returns one ticket each, never used twice.

        Args:
            sources: Ids with language token and eos.
            n_best: Hypotheses wanted of each, at most those of the options, which is what None asks for.
        """
        if not sources:
            return []
        self._stepper.admit(sources, self._options.beam_size)
        lengths, size = [len(source) for source in sources], self._options.no_repeat_ngram_size
        slots = self._history.open(len(sources))
        wanted = n_best or [self._options.n_best] * len(sources)
        places = [
            Place(slot, length, self._options.max_target_length(length), count, size > 0 and repeats_itself(ids, size))
            for slot, length, count, ids in zip(slots, lengths, wanted, sources, strict=True)
        ]
        sentences = [_Sentence(ticket, place) for ticket, place in enumerate(places, self._admitted)]
        self._admitted += len(sources)
        self._tabulate_length_penalties(max(place.max_length for place in places))
        self._beams = self._beams.join(self._new_beams(sentences))
        self._sentences = [*self._sentences, *sentences]
        return [sentence.ticket for sentence in sentences]

    def cancel(self, tickets: Iterable[int]) -> None:
        """Forget sentences; their rows leave at the next step. Tickets that are not live are ignored."""
        self._cancelled |= {sentence.ticket for sentence in self._sentences} & set(tickets)

    def settled(self, ticket: int) -> list[int]:
        """Tokens that the best hypothesis of a live sentence will begin with: all that may still win share them.

        Raises:
            KeyError: The sentence is not live.
        """
        position = next((place for place, each in enumerate(self._sentences) if each.ticket == ticket), None)
        if position is None or ticket in self._cancelled:
            raise KeyError(ticket)
        beams, slot = self._beams, self._sentences[position].place.slot
        age, log_probs = int(beams.ages[position]), beams.log_probs[position].tolist()
        ends = [(age, row) for row, each in enumerate(log_probs) if each > DEAD and age]
        if float(beams.finished_scores[position, 0]) > DEAD:
            length, row = int(beams.finished_lengths[position, 0]), int(beams.finished_parents[position, 0])
            ends.append((length - 1, row))  # without eos
        return self._history.shared(slot, ends) if all(length for length, _ in ends) and ends else []

    def run(self) -> dict[int, list[Hypothesis]]:
        """Advance until no sentence is live: the hypotheses of each ticket, as `advance` gives them."""
        results: dict[int, list[Hypothesis]] = {}
        while self._sentences:
            results.update(self.advance())
        return results

    def advance(self) -> list[tuple[int, list[Hypothesis]]]:
        """Produce one token for every live sentence.

        Returns:
            The sentences that ended with it: ticket and `n_best` hypotheses, finished before cut, best first.
            There are fewer only if no more exist; none if the model gave no possible token at all.
        """
        with torch.inference_mode():
            if self._cancelled:
                self._drop_cancelled()
            if not self._sentences:
                return []
            rows = self._beams.rows()
            size = self._options.no_repeat_ngram_size
            repeats = find_repeats(self._beams, rows, size=size) if size else None
            token_ids, places = self._tensor(self._beams.token_ids.ravel()[rows.places]), self._tensor(rows.places)
            output = self._stepper.step(token_ids, places, spare=repeats.most if repeats else 0)
            self._check(output, len(rows.places))
            log_probs = repeats.strike_out(output.log_probs, output.token_ids) if repeats else output.log_probs
            candidates = self._beams.candidates(rows, log_probs, self._forbidden_ids, output.token_ids)
            self._finish(candidates, rows, output)
            parents = self._go_on(candidates, rows, output)
            return self._settle(rows, parents)

    def _tensor(self, array: Integers) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)

    def _drop_cancelled(self) -> None:
        gone = [position for position, each in enumerate(self._sentences) if each.ticket in self._cancelled]
        self._cancelled = set()
        rows = self._beams.rows()
        owners = rows.places // self._options.beam_size
        stay = self._leave(gone)
        if self._sentences:
            self._stepper.reorder(self._tensor(np.isin(owners, stay).nonzero()[0]))

    def _finish(self, candidates: Candidates, rows: Rows, output: StepOutput) -> None:
        beams, options, beta = self._beams, self._options, self._options.coverage_penalty
        if beta:
            looked = rows.spread(output.attention_weights.cpu().numpy())
            beams.cover(looked.reshape(len(self._sentences), options.beam_size, -1))
        first = candidates.first(options.beam_size)
        finishing = (first.token_ids == self._eos_id) & (first.log_probs > DEAD)  # [B, K]
        if finishing.any() and (finishing := finishing & beams.open_places()).any():
            scores: Floats = first.log_probs / self._length_penalties[beams.ages + 1][:, None]
            if beta:
                scores = scores + picked(beams.coverage_penalties(beta), first.parents)
            beams.finish(first, scores, finishing)

    def _go_on(self, candidates: Candidates, rows: Rows, output: StepOutput) -> Integers:
        ages, options = self._beams.ages, self._options
        delay = options.decision_delay if options.beam_size > 1 else 0
        look_back = max(delay, int(ages.max()) + 1 if options.no_repeat_ngram_size else 0)
        chosen = self._beams.go_on(
            candidates, self._eos_id, threshold=options.pruning_threshold, delay=delay, look_back=look_back
        )
        self._history.write(
            self._beams.slots,
            ages,
            token_ids=chosen.token_ids,
            parents=chosen.parents,
            log_probs=chosen.token_log_probs,
            first=rows.first(),
            attention_weights=output.attention_weights,
            states=output.states,
        )
        return chosen.parents

    def _settle(self, rows: Rows, parents: Integers) -> list[tuple[int, list[Hypothesis]]]:
        """Collect the sentences that are done and let them leave; then bring the stepper's rows in order.

        Args:
            rows: Those that were stepped.
            parents: Of each place, the row of its sentence that it continues. [B, K]
        """
        beams, beam_size = self._beams, self._options.beam_size
        bounds = beams.log_probs[:, 0] / self._length_penalties[beams.max_lengths]
        done = (beams.finished_counts >= beam_size) | (beams.ages >= beams.max_lengths)
        done = done | (bounds <= beams.worst_wanted())
        results: list[tuple[int, list[Hypothesis]]] = []
        first = rows.first()
        if done.any():
            ended = done.nonzero()[0].tolist()
            tickets = [self._sentences[position].ticket for position in ended]
            results = list(zip(tickets, self._answers(ended), strict=True))
            stay = self._leave(ended)
            parents, first = parents[stay], first[stay]
        if self._sentences:
            chosen = (first[:, None] + parents)[self._beams.log_probs > DEAD]
            if not np.array_equal(chosen, np.arange(len(rows.places))):
                self._stepper.reorder(self._tensor(chosen))
        return results

    def _answers(self, positions: Sequence[int]) -> list[list[Hypothesis]]:
        return read_answers(
            {position: self._sentences[position].place for position in positions},
            beams=self._beams,
            history=self._history,
            stepper=self._stepper,
            options=self._options,
            eos_id=self._eos_id,
        )

    def _leave(self, positions: Sequence[int]) -> Integers:
        """Let sentences go; returns the positions of the others."""
        gone = set(positions)
        kept = [position for position in range(len(self._sentences)) if position not in gone]
        stay = np.array(kept, dtype=np.int64)
        self._stepper.keep(self._tensor(stay))
        self._beams = self._beams.select(stay)
        self._history.close([self._sentences[position].place.slot for position in positions])
        self._sentences = [self._sentences[position] for position in kept]
        return stay

    def _new_beams(self, sentences: Sequence[_Sentence]) -> Beams:
        return new_beams(
            [sentence.place for sentence in sentences],
            beam_size=self._options.beam_size,
            most=self._options.n_best,
            bos_id=self._bos_id,
        )

    def _tabulate_length_penalties(self, longest: int) -> None:
        if longest >= len(self._length_penalties):
            alpha = self._options.length_penalty
            penalties = [length_penalty(length, alpha) for length in range(longest + 1)]
            self._length_penalties = np.array(penalties, dtype=np.float32)

    def _check(self, output: StepOutput, rows: int) -> None:
        longest = int(self._beams.source_lengths.max())
        shapes = [part.shape for part in (output.log_probs, output.attention_weights, output.states)]
        if any(shape[0] != rows for shape in shapes) or shapes[1][1] < longest:
            wanted = f"{rows} rows each and at least {longest} source tokens"
            came = ", ".join(str(tuple(shape)) for shape in shapes)
            raise ValueError(f"the stepper gave log_probs, attention and states of shapes {came}, wanted {wanted}")
