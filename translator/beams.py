"""The state of a beam search over many sentences, and what one step does to it: tensors in, tensors out.

Who comes and who leaves is decided in `beam_search`; the way back through the steps is in `beam_history`.

Letters: B live sentences · K beam size · N rows, of the places B * K those that a hypothesis lives in · V vocabulary ·
S source length · W best tokens of a row · F the most hypotheses that any sentence may want · L tokens looked back at.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import pad

from translator.beam_rows import DEAD, NOTHING, Candidates, Place, Rows, counting
from translator.scoring import log_coverage

BLOCK, MANY_COLUMNS = 64, 2048
"""Columns looked at together when the best of so long rows are sought. Which way is taken does not depend on the
number of rows, or a tie could be broken by who else is there. (With a shortlist it could: how many columns there are
does depend on that. But there no two pieces have the same bias.)"""


@dataclass
class Beams:
    """What a search knows of its live sentences. A step replaces tensors and never writes into one."""

    slots: Tensor  # [B] place in the history
    ages: Tensor  # [B] tokens produced
    max_lengths: Tensor  # [B]
    source_lengths: Tensor  # [B]
    wanted: Tensor  # [B] hypotheses to be given, at most F
    token_ids: Tensor  # [B, K] last token
    log_probs: Tensor  # [B, K] sums, best first, DEAD where no hypothesis lives
    repeats: Tensor  # [B] bool, whose source says something again
    written_ids: Tensor  # [B, K, L] last tokens, the oldest first; NOTHING where there are fewer
    coverage: Tensor  # [B, K, S] attention summed over the steps; S is 0 without a coverage penalty
    finished_counts: Tensor  # [B] hypotheses that ever finished
    finished_scores: Tensor  # [B, F] best first, DEAD where there is none
    finished_lengths: Tensor  # [B, F] tokens, eos counted
    finished_parents: Tensor  # [B, F] the row that eos was added to
    finished_log_probs: Tensor  # [B, F] of eos alone

    def select(self, sentences: Tensor) -> "Beams":
        """The beams of these sentences; `sentences` holds positions, [any]."""
        return Beams(*(getattr(self, field.name).index_select(0, sentences) for field in fields(self)))

    def join(self, other: "Beams") -> "Beams":
        """These beams, then those of `other`."""
        width = max(self.coverage.shape[2], other.coverage.shape[2])
        names = [field.name for field in fields(self)]
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in names}
        pairs["coverage"] = _fitted(self.coverage, width), _fitted(other.coverage, width)
        length = max(self.written_ids.shape[2], other.written_ids.shape[2])
        pairs["written_ids"] = _lengthened(self.written_ids, length), _lengthened(other.written_ids, length)
        return Beams(**{name: torch.cat(pair) for name, pair in pairs.items()})

    def rows(self) -> Rows:
        """The places that a hypothesis lives in."""
        lives = self.log_probs > DEAD  # [B, K]; best first, so that they are the first of their beam
        return Rows(lives.flatten().nonzero().squeeze(1), lives.sum(dim=1), lives.numel())

    def candidates(
        self, rows: Rows, log_probs: Tensor, forbidden_ids: Tensor, columns: Tensor | None = None
    ) -> Candidates:
        """Returns 2K continuations of each sentence: exact are the first K, and the best K that do not end it.

        That is all a search asks for, and no row can have more part in it than its own best K + 1: K that go on, and
        its eos. So W is K + 1, besides as many as may be struck out. And 2K are enough, for at most K end the sentence.

        Args:
            rows: These beams'.
            log_probs: Of each row's next token; NaN is taken for -inf. [N, C]
            forbidden_ids: Tokens to strike out. [any]
            columns: Tokens that the columns stand for, none of them forbidden; None is 0 to V - 1. [N, C]
        """
        beam_size = self.log_probs.shape[1]
        if columns is not None:
            return self._chosen_candidates(rows, log_probs, columns)
        if log_probs.device.type == "cpu" and log_probs.shape[1] >= MANY_COLUMNS:
            return self._candidates_by_blocks(rows, log_probs, forbidden_ids)
        width = min(log_probs.shape[1], beam_size + 1 + len(forbidden_ids))
        best, token_ids = log_probs.topk(width)  # [N, W]
        impossible = torch.isin(token_ids, forbidden_ids) | best.isnan()
        best = rows.spread(best.masked_fill(impossible, DEAD)).view(-1, beam_size, width)
        sums, places = (self.log_probs.unsqueeze(2) + best).flatten(1).topk(2 * beam_size)  # of K * W
        token_ids = rows.spread(token_ids).view(-1, beam_size * width).gather(1, places)
        return Candidates(sums, best.flatten(1).gather(1, places), token_ids, places // width)

    def _candidates_by_blocks(self, rows: Rows, log_probs: Tensor, forbidden_ids: Tensor) -> Candidates:
        """Likewise in a quarter of the time: the best are in the blocks of a sentence's rows whose best are best.

        A block that holds something forbidden may be among them for nothing, so that many more are looked at. Of rows
        with NaN in them blocks are left out as a whole.
        """
        vocab_size, beam_size = log_probs.shape[1], self.log_probs.shape[1]
        whole = vocab_size - vocab_size % BLOCK
        maxima = log_probs[:, :whole].unflatten(1, (-1, BLOCK)).amax(dim=2)
        if whole < vocab_size:
            maxima = torch.cat([maxima, log_probs[:, whole:].amax(dim=1, keepdim=True)], dim=1)
        blocks = maxima.shape[1]
        maxima = rows.spread(maxima.nan_to_num(DEAD, neginf=DEAD)).view(-1, beam_size, blocks)
        maxima = maxima + self.log_probs.unsqueeze(2)
        for_nothing = beam_size * len((forbidden_ids // BLOCK).unique())
        chosen = maxima.flatten(1).topk(min(2 * beam_size + for_nothing, beam_size * blocks), sorted=False).indices
        parents = (chosen // blocks).unsqueeze(2).expand(-1, -1, BLOCK)  # [B, any, BLOCK]
        token_ids = (chosen % blocks * BLOCK).unsqueeze(2) + counting(BLOCK, log_probs.device)
        # Parents that are dead (where there are few blocks) are read as some row that is not, and stay dead.
        those = (rows.first().view(-1, 1, 1) + parents).clamp_(max=len(log_probs) - 1)
        best = log_probs.view(-1).take(those * vocab_size + token_ids.clamp(max=vocab_size - 1)).flatten(1)
        parents, token_ids = parents.flatten(1), token_ids.flatten(1)
        struck_out = torch.zeros(vocab_size + BLOCK, dtype=torch.bool).index_fill_(0, forbidden_ids, True)
        struck_out[vocab_size:] = True
        impossible = struck_out.index_select(0, token_ids.flatten()).view(token_ids.shape)
        best = best.masked_fill(impossible | best.isnan(), DEAD)
        sums, order = (self.log_probs.gather(1, parents) + best).topk(2 * beam_size)
        return Candidates(sums, *(part.gather(1, order) for part in (best, token_ids, parents)))

    def _chosen_candidates(self, rows: Rows, log_probs: Tensor, columns: Tensor) -> Candidates:
        """Likewise of columns that somebody chose, none of them forbidden: so few that no row is cut first."""
        beam_size, count = self.log_probs.shape[1], log_probs.shape[1]
        log_probs = rows.spread(log_probs.nan_to_num(DEAD, neginf=DEAD)).view(-1, beam_size, count)
        sums, places = (self.log_probs.unsqueeze(2) + log_probs).flatten(1).topk(2 * beam_size)  # of K * C
        token_ids = rows.spread(columns).view(-1, beam_size * count).gather(1, places)
        return Candidates(sums, log_probs.flatten(1).gather(1, places), token_ids, places // count)

    def cover(self, attention_weights: Tensor) -> None:
        """Add the attention of one step to the coverage; [B, K, S]."""
        self.coverage = _fitted(self.coverage, attention_weights.shape[2]) + attention_weights

    def coverage_penalties(self, beta: float) -> Tensor:
        """`scoring.coverage_penalty` of every row, [B, K]."""
        positions = counting(self.coverage.shape[2], self.coverage.device)
        real = positions < self.source_lengths.unsqueeze(1)  # [B, S]
        return (log_coverage(self.coverage) * real.unsqueeze(1)).sum(dim=2) * beta

    def finish(self, candidates: Candidates, scores: Tensor, finishing: Tensor) -> None:
        """Put the candidates that are `finishing` among the F best finished; the older wins a tie.

        Args:
            candidates: At most K of each sentence. [B, any]
            scores: Their scores. [B, any]
            finishing: Those that end the sentence. [B, any] bool
        """
        most = self.finished_scores.shape[1]
        scores = torch.cat((self.finished_scores, scores.masked_fill(~finishing, DEAD)), dim=1)
        scores, order = scores.sort(dim=1, descending=True, stable=True)

        def merged(old: Tensor, new: Tensor) -> Tensor:
            return torch.cat((old, new), dim=1).gather(1, order[:, :most])

        self.finished_scores = scores[:, :most]
        self.finished_counts = self.finished_counts + finishing.sum(dim=1)
        lengths = (self.ages + 1).unsqueeze(1).expand_as(finishing)
        self.finished_lengths = merged(self.finished_lengths, lengths)
        self.finished_parents = merged(self.finished_parents, candidates.parents)
        self.finished_log_probs = merged(self.finished_log_probs, candidates.token_log_probs)

    def open_places(self) -> Tensor:
        """Which of the K places no finished hypothesis holds, the first ones; [B, K] bool."""
        beam_size = self.log_probs.shape[1]
        return counting(beam_size, self.log_probs.device) < beam_size - self.finished_counts.unsqueeze(1)

    def worst_wanted(self) -> Tensor:
        """Score that a new hypothesis must pass to be given, [B]; DEAD while fewer have finished than are wanted."""
        return self.finished_scores.gather(1, self.wanted.unsqueeze(1) - 1).squeeze(1)

    def go_on(
        self, candidates: Candidates, eos_id: int, *, threshold: float = 0.0, delay: int = 0, look_back: int = 0
    ) -> Candidates:
        """Let the likeliest candidates that do not end the sentence live on in the open places; return K, some dead.

        Args:
            candidates: Of each sentence.
            eos_id: What ends it.
            threshold: Those that are less likely than the likeliest of them by more do not live on, unless they are
                among as many as are wanted; 0 is no limit.
            delay: Nor do those whose token so many places back is not the likeliest one's, where one hypothesis is
                wanted; 0 is never.
            look_back: L from now on, at least `delay`.
        """
        log_probs = candidates.log_probs.masked_fill(candidates.token_ids == eos_id, DEAD)
        order = log_probs.sort(dim=1, descending=True, stable=True).indices[:, : self.log_probs.shape[1]]
        chosen = candidates._replace(log_probs=log_probs).take(order)
        fallen = ~self.open_places()
        if threshold:
            spare = counting(self.log_probs.shape[1], self.log_probs.device) >= self.wanted.unsqueeze(1)
            fallen |= spare & (chosen.log_probs < chosen.log_probs[:, :1] - threshold)
        chosen = chosen._replace(log_probs=chosen.log_probs.masked_fill(fallen, DEAD))
        if delay and self.written_ids.shape[2] >= delay:
            chosen = self._decided(chosen, delay)
        if look_back:
            written = self.written_ids
            written = written.gather(1, chosen.parents.unsqueeze(2).expand(-1, -1, written.shape[2]))
            self.written_ids = torch.cat((written, chosen.token_ids.unsqueeze(2)), dim=2)[:, :, -look_back:]
        self.log_probs, self.token_ids, self.ages = chosen.log_probs, chosen.token_ids, self.ages + 1
        if self.coverage.shape[2]:
            self.coverage = self.coverage.gather(1, chosen.parents.unsqueeze(2).expand_as(self.coverage))
        return chosen

    def _decided(self, chosen: Candidates, delay: int) -> Candidates:
        """Lets die, and puts last, whose token `delay` places back is another than the best one's."""
        oldest = self.written_ids[:, :, -delay].gather(1, chosen.parents)
        other = (oldest != oldest[:, :1]) & (self.wanted == 1).unsqueeze(1) & (chosen.log_probs > DEAD)
        if not other.any():
            return chosen
        log_probs = chosen.log_probs.masked_fill(other, DEAD)
        order = log_probs.sort(dim=1, descending=True, stable=True).indices
        return chosen._replace(log_probs=log_probs).take(order)


def new_beams(sentences: Sequence[Place], *, beam_size: int, most: int, bos_id: int, device: torch.device) -> Beams:
    """Beams of sentences that have not begun: one row with log-probability 0, the others dead.

    Args:
        sentences: Where they write, how far they may go.
        beam_size: K.
        most: F.
        bos_id: The token before the first.
        device: Where the tensors shall be.
    """
    count = len(sentences)
    places = torch.tensor(sentences, dtype=torch.int64, device=device).view(count, len(Place._fields))
    slots, source_lengths, max_lengths, wanted, repeats = places.unbind(dim=1)
    zeros = torch.zeros_like(slots)
    log_probs = torch.full((count, beam_size), DEAD, device=device)
    log_probs[:, 0] = 0.0
    return Beams(
        slots=slots,
        ages=zeros,
        max_lengths=max_lengths,
        source_lengths=source_lengths,
        wanted=wanted,
        token_ids=torch.full((count, beam_size), bos_id, dtype=torch.int64, device=device),
        log_probs=log_probs,
        repeats=repeats > 0,
        written_ids=torch.full((count, beam_size, 0), NOTHING, dtype=torch.int64, device=device),
        coverage=log_probs.new_zeros((count, beam_size, 0)),
        finished_counts=zeros,
        finished_scores=log_probs.new_full((count, most), DEAD),
        finished_lengths=zeros.unsqueeze(1).expand(-1, most),
        finished_parents=zeros.unsqueeze(1).expand(-1, most),
        finished_log_probs=log_probs.new_zeros((count, most)),
    )


def _lengthened(written_ids: Tensor, length: int) -> Tensor:
    return pad(written_ids, (length - written_ids.shape[2], 0), value=NOTHING)


def _fitted(coverage: Tensor, width: int) -> Tensor:
    # A negative padding crops: what is cropped lies beyond the longest sentence that is still live.
    return pad(coverage, (0, width - coverage.shape[2]))
