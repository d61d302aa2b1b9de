"""The state of a beam search over many sentences, and what one step does to it.

Who comes and who leaves is decided in `beam_search`; the way back through the steps is in `beam_history`.

Letters: B live sentences · K beam size · N rows, of the places B * K those that a hypothesis lives in · V vocabulary ·
S source length · W best tokens of a row · F the most hypotheses that any sentence may want · L tokens looked back at.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from translator.beam_rows import (
    DEAD,
    NOTHING,
    Candidates,
    Flags,
    Floats,
    Integers,
    Place,
    Rows,
    best_first,
    picked,
)
from translator.scoring import log_coverage

BLOCK, MANY_COLUMNS = 64, 2048
"""Columns looked at together when the best of so long rows are sought. Which way is taken does not depend on the
number of rows, or a tie could be broken by who else is there. (With a shortlist it could: how many columns there are
does depend on that. But there no two pieces have the same bias.)"""
MANY_CHOSEN = 64  # columns; fewer are sorted as they are, the first of equals first


@dataclass
class Beams:
    """What a search knows of its live sentences. A step replaces arrays and never writes into one."""

    slots: Integers  # [B] place in the history
    ages: Integers  # [B] tokens produced
    max_lengths: Integers  # [B]
    source_lengths: Integers  # [B]
    wanted: Integers  # [B] hypotheses to be given, at most F
    token_ids: Integers  # [B, K] last token
    log_probs: Floats  # [B, K] sums, best first, DEAD where no hypothesis lives
    repeats: Flags  # [B] bool, whose source says something again
    written_ids: Integers  # [B, K, L] last tokens, the oldest first; NOTHING where there are fewer
    coverage: Floats  # [B, K, S] attention summed over the steps; S is 0 without a coverage penalty
    finished_counts: Integers  # [B] hypotheses that ever finished
    finished_scores: Floats  # [B, F] best first, DEAD where there is none
    finished_lengths: Integers  # [B, F] tokens, eos counted
    finished_parents: Integers  # [B, F] the row that eos was added to
    finished_log_probs: Floats  # [B, F] of eos alone

    def select(self, sentences: Integers) -> "Beams":
        """The beams of these sentences; `sentences` holds positions, [any]."""
        return Beams(*(getattr(self, field.name)[sentences] for field in fields(self)))

    def join(self, other: "Beams") -> "Beams":
        """These beams, then those of `other`."""
        width = max(self.coverage.shape[2], other.coverage.shape[2])
        names = [field.name for field in fields(self)]
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in names}
        pairs["coverage"] = _fitted(self.coverage, width), _fitted(other.coverage, width)
        length = max(self.written_ids.shape[2], other.written_ids.shape[2])
        pairs["written_ids"] = _lengthened(self.written_ids, length), _lengthened(other.written_ids, length)
        return Beams(**{name: np.concatenate(pair) for name, pair in pairs.items()})

    def rows(self) -> Rows:
        """The places that a hypothesis lives in."""
        lives = self.log_probs > DEAD  # [B, K]; best first, so that they are the first of their beam
        return Rows(lives.ravel().nonzero()[0], lives.sum(axis=1), lives.size)

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
        if columns is not None:
            return self._chosen_candidates(rows, log_probs, columns)
        if log_probs.device.type == "cpu" and log_probs.shape[1] >= MANY_COLUMNS:
            return self._candidates_by_blocks(rows, log_probs, forbidden_ids)
        width = min(log_probs.shape[1], self.log_probs.shape[1] + 1 + len(forbidden_ids))
        best, token_ids = log_probs.topk(width)  # [N, W]
        impossible = torch.isin(token_ids, forbidden_ids) | best.isnan()
        return self._chosen_candidates(rows, best.masked_fill(impossible, DEAD), token_ids)

    def _chosen_candidates(self, rows: Rows, log_probs: Tensor, columns: Tensor) -> Candidates:
        """Likewise of columns that somebody chose, at least two, none of them forbidden."""
        beam_size = self.log_probs.shape[1]
        if log_probs.shape[1] >= MANY_CHOSEN + beam_size:  # a row's own best K + 1 are its part
            log_probs, places = log_probs.nan_to_num(DEAD, neginf=DEAD).topk(beam_size + 1)
            columns = columns.gather(1, places)
        token_log_probs, token_ids = np.fmax(log_probs.cpu().numpy(), DEAD), columns.cpu().numpy()  # drops NaN
        count = token_ids.shape[1]
        best = rows.spread(token_log_probs, fill=DEAD).reshape(-1, beam_size, count)
        sums = (self.log_probs[:, :, None] + best).reshape(len(self.log_probs), -1)  # of K * C
        order = best_first(sums)[:, : 2 * beam_size]
        token_ids = rows.spread(token_ids).reshape(sums.shape)
        return Candidates(
            picked(sums, order), picked(best.reshape(sums.shape), order), picked(token_ids, order), order // count
        )

    def _candidates_by_blocks(self, rows: Rows, log_probs: Tensor, forbidden_ids: Tensor) -> Candidates:
        """Likewise in a quarter of the time: the best are in the blocks of a sentence's rows whose best are best.

        A block that holds something forbidden may be among them for nothing, so that many more are looked at. Of rows
        with NaN in them blocks are left out as a whole.
        """
        vocab_size, beam_size = log_probs.shape[1], self.log_probs.shape[1]
        before = torch.from_numpy(self.log_probs)
        whole = vocab_size - vocab_size % BLOCK
        maxima = log_probs[:, :whole].unflatten(1, (-1, BLOCK)).amax(dim=2)
        if whole < vocab_size:
            maxima = torch.cat([maxima, log_probs[:, whole:].amax(dim=1, keepdim=True)], dim=1)
        blocks = maxima.shape[1]
        places = rows.spread(maxima.nan_to_num(DEAD, neginf=DEAD).numpy()).reshape(-1, beam_size, blocks)
        for_nothing = beam_size * len((forbidden_ids // BLOCK).unique())
        most = min(2 * beam_size + for_nothing, beam_size * blocks)
        chosen = (torch.from_numpy(places) + before.unsqueeze(2)).flatten(1).topk(most, sorted=False).indices
        parents = (chosen // blocks).unsqueeze(2).expand(-1, -1, BLOCK)  # [B, any, BLOCK]
        token_ids = (chosen % blocks * BLOCK).unsqueeze(2) + torch.arange(BLOCK)
        # Parents that are dead (where there are few blocks) are read as some row that is not, and stay dead.
        those = (torch.from_numpy(rows.first()).view(-1, 1, 1) + parents).clamp_(max=len(log_probs) - 1)
        best = log_probs.view(-1).take(those * vocab_size + token_ids.clamp(max=vocab_size - 1)).flatten(1)
        parents, token_ids = parents.flatten(1), token_ids.flatten(1)
        struck_out = torch.zeros(vocab_size + BLOCK, dtype=torch.bool).index_fill_(0, forbidden_ids, True)
        struck_out[vocab_size:] = True
        impossible = struck_out.index_select(0, token_ids.flatten()).view(token_ids.shape)
        best = best.masked_fill(impossible | best.isnan(), DEAD)
        sums, order = (before.gather(1, parents) + best).topk(2 * beam_size)
        return Candidates(sums.numpy(), *(part.gather(1, order).numpy() for part in (best, token_ids, parents)))

    def cover(self, attention_weights: Floats) -> None:
        """Add the attention of one step to the coverage; [B, K, S]."""
        self.coverage = _fitted(self.coverage, attention_weights.shape[2]) + attention_weights

    def coverage_penalties(self, beta: float) -> Floats:
        """`scoring.coverage_penalty` of every row, [B, K]."""
        real = np.arange(self.coverage.shape[2]) < self.source_lengths[:, None]  # [B, S]
        logarithms: Floats = log_coverage(self.coverage)
        penalties: Floats = (logarithms * real[:, None]).sum(axis=2, dtype=np.float64).astype(np.float32)
        return penalties * np.float32(beta)

    def finish(self, candidates: Candidates, scores: Floats, finishing: Flags) -> None:
        """Put the candidates that are `finishing` among the F best finished; the older wins a tie.

        Args:
            candidates: At most K of each sentence. [B, any]
            scores: Their scores. [B, any]
            finishing: Those that end the sentence. [B, any] bool
        """
        most = self.finished_scores.shape[1]
        scores = np.concatenate((self.finished_scores, np.where(finishing, scores, np.float32(DEAD))), axis=1)
        order = best_first(scores)[:, :most]
        self.finished_scores = picked(scores, order)
        self.finished_counts = self.finished_counts + finishing.sum(axis=1)
        lengths = np.broadcast_to((self.ages + 1)[:, None], finishing.shape)
        self.finished_lengths = picked(np.concatenate((self.finished_lengths, lengths), axis=1), order)
        self.finished_parents = picked(np.concatenate((self.finished_parents, candidates.parents), axis=1), order)
        ends = np.concatenate((self.finished_log_probs, candidates.token_log_probs), axis=1)
        self.finished_log_probs = picked(ends, order)

    def open_places(self) -> Flags:
        """Which of the K places no finished hypothesis holds, the first ones; [B, K]."""
        beam_size = self.log_probs.shape[1]
        free: Flags = np.arange(beam_size) < beam_size - self.finished_counts[:, None]
        return free

    def worst_wanted(self) -> Floats:
        """Score that a new hypothesis must pass to be given, [B]; DEAD while fewer have finished than are wanted."""
        return self.finished_scores[np.arange(len(self.wanted)), self.wanted - 1]

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
        log_probs = np.where(candidates.token_ids == eos_id, np.float32(DEAD), candidates.log_probs)
        beam_size = self.log_probs.shape[1]
        chosen = candidates._replace(log_probs=log_probs).take(best_first(log_probs)[:, :beam_size])
        lives = self.open_places()
        if threshold:
            close = chosen.log_probs >= chosen.log_probs[:, :1] - np.float32(threshold)
            lives &= close | (np.arange(beam_size) < self.wanted[:, None])
        chosen = chosen._replace(log_probs=np.where(lives, chosen.log_probs, np.float32(DEAD)))
        if delay and self.written_ids.shape[2] >= delay:
            chosen = self._decided(chosen, delay)
        if look_back:
            written = picked(self.written_ids, chosen.parents)
            self.written_ids = np.concatenate((written, chosen.token_ids[:, :, None]), axis=2)[:, :, -look_back:]
        self.log_probs, self.token_ids, self.ages = chosen.log_probs, chosen.token_ids, self.ages + 1
        if self.coverage.shape[2]:
            self.coverage = picked(self.coverage, chosen.parents)
        return chosen

    def _decided(self, chosen: Candidates, delay: int) -> Candidates:
        """Lets die, and puts last, whose token `delay` places back is another than the best one's."""
        oldest = picked(self.written_ids[:, :, -delay], chosen.parents)
        other = (oldest != oldest[:, :1]) & (self.wanted == 1)[:, None] & (chosen.log_probs > DEAD)
        if not other.any():
            return chosen
        log_probs = np.where(other, np.float32(DEAD), chosen.log_probs)
        return chosen._replace(log_probs=log_probs).take(best_first(log_probs))


def new_beams(sentences: Sequence[Place], *, beam_size: int, most: int, bos_id: int) -> Beams:
    """Beams of sentences that have not begun: one row with log-probability 0, the others dead.

    Args:
        sentences: Where they write, how far they may go.
        beam_size: K.
        most: F.
        bos_id: The token before the first.
    """
    count = len(sentences)
    places = np.array(sentences, dtype=np.int64).reshape(count, len(Place._fields))
    slots, source_lengths, max_lengths, wanted, repeats = places.T
    zeros = np.zeros(count, dtype=np.int64)
    log_probs = np.full((count, beam_size), DEAD, dtype=np.float32)
    log_probs[:, 0] = 0.0
    return Beams(
        slots=slots,
        ages=zeros,
        max_lengths=max_lengths,
        source_lengths=source_lengths,
        wanted=wanted,
        token_ids=np.full((count, beam_size), bos_id, dtype=np.int64),
        log_probs=log_probs,
        repeats=repeats > 0,
        written_ids=np.zeros((count, beam_size, 0), dtype=np.int64),
        coverage=np.zeros((count, beam_size, 0), dtype=np.float32),
        finished_counts=zeros,
        finished_scores=np.full((count, most), DEAD, dtype=np.float32),
        finished_lengths=np.zeros((count, most), dtype=np.int64),
        finished_parents=np.zeros((count, most), dtype=np.int64),
        finished_log_probs=np.zeros((count, most), dtype=np.float32),
    )


def _lengthened(written_ids: Integers, length: int) -> Integers:
    missing = length - written_ids.shape[2]
    return np.pad(written_ids, ((0, 0), (0, 0), (missing, 0)), constant_values=NOTHING) if missing else written_ids


def _fitted(coverage: Floats, width: int) -> Floats:
    coverage = coverage[:, :, :width]  # what is cropped lies beyond the longest sentence that is still live
    missing = width - coverage.shape[2]
    return np.pad(coverage, ((0, 0), (0, 0), (0, missing))) if missing else coverage
