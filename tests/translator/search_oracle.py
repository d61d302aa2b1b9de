"""A model small enough to enumerate, and searches written to be obviously right, for the tests of the beam search."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import product
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from translator.config import DecodingOptions
from translator.scoring import COVERAGE_FLOOR
from translator.stepper import StepOutput

PAD, UNK, BOS, EOS = 0, 1, 2, 3
FORBIDDEN = (PAD, BOS)
DEAD = float("-inf")
Ids = tuple[int, ...]


class Found(NamedTuple):
    """What an oracle says of one hypothesis."""

    score: float
    token_ids: Ids
    finished: bool


class ToyModel:
    """Log-probabilities and attention that depend on the whole prefix and on the source, by a hash."""

    def __init__(
        self,
        seed: int,
        *,
        vocab_size: int = 6,
        eos_logit: float = 0.0,
        forbidden_logit: float = 0.0,
        impossible: float = 0.0,
        change: Callable[[Tensor, Ids, Ids], Tensor] | None = None,
    ) -> None:
        """`impossible` is the share of tokens with probability 0; `change` has the last word on log-probabilities."""
        self.seed, self.vocab_size, self.eos_logit = seed, vocab_size, eos_logit
        self.forbidden_logit, self.impossible, self.change = forbidden_logit, impossible, change
        self.log_probs = lru_cache(maxsize=None)(self._log_probs)
        self.attention = lru_cache(maxsize=None)(self._attention)

    def _log_probs(self, source: Ids, prefix: Ids) -> Tensor:
        random = Random(f"{self.seed} {source} {prefix}")
        logits = torch.tensor([random.gauss(0, 1.5) for _ in range(self.vocab_size)])
        logits[[token for token in range(self.vocab_size) if random.random() < self.impossible]] = DEAD
        logits[EOS] += self.eos_logit
        logits[list(FORBIDDEN)] += self.forbidden_logit
        possible = torch.cat((logits, torch.zeros(1)))  # one more token that nobody sees keeps the sum above 0
        log_probs = possible.log_softmax(0)[:-1]
        return self.change(log_probs, source, prefix) if self.change else log_probs

    def _attention(self, source: Ids, prefix: Ids) -> Tensor:
        random = Random(f"attention {self.seed} {source} {prefix}")
        return torch.tensor([random.gauss(0, 2) for _ in source]).softmax(0)


class ToyStepper:
    """Runs a `ToyModel` on rows that each remember their prefix; unforgiving about what the search may do."""

    def __init__(self, model: ToyModel, *, device: str = "cpu", frugal: bool = False) -> None:
        """`frugal` says of each row the likeliest tokens alone, no more than it must."""
        self.model, self.device, self.frugal = model, device, frugal
        self.sources: list[Ids] = []
        self.prefixes: list[Ids] = []
        self.owners: list[int] = []  # of each row
        self.sentences = self.beam_size = 0
        self.due: list[int] | None = None  # sentences kept, whose rows are to be ordered
        self.rows_per_step: list[int] = []
        self.reorders = 0
        self._previous: list[tuple[Tensor, Tensor]] = []

    def forbid(self, token_ids: Sequence[int]) -> None:
        self.forbidden = list(token_ids)

    def admit(self, sources: Sequence[Sequence[int]], beam_size: int) -> None:
        self.beam_size = beam_size
        self.owners += range(self.sentences, self.sentences + len(sources))
        self.sentences += len(sources)
        self.sources += [tuple(source) for source in sources]
        self.prefixes += [()] * len(sources)

    def step(self, token_ids: Tensor, places: Tensor, spare: int = 0) -> StepOutput:
        assert token_ids.dtype == places.dtype == torch.int64
        assert token_ids.shape == places.shape == (len(self.sources),)
        assert self.due is None, "rows of a sentence that left are still there"
        assert [place // self.beam_size for place in places.tolist()] == self.owners
        assert sorted(set(self.owners)) == list(range(self.sentences)), "a sentence without a row"
        firsts = [self.owners.index(owner) for owner in self.owners]
        assert [place % self.beam_size for place in places.tolist()] == [n - first for n, first in enumerate(firsts)]
        for output, copy in self._previous:
            assert torch.equal(output.nan_to_num(), copy.nan_to_num()), "the search wrote into the last output"
            output.fill_(torch.nan)  # shows whether the search still looks at it
        added = zip(self.prefixes, token_ids.tolist(), strict=True)
        self.prefixes = [(*prefix, token_id) for prefix, token_id in added]
        self.rows_per_step.append(len(self.sources))
        rows = list(zip(self.sources, (prefix[1:] for prefix in self.prefixes), strict=True))
        log_probs = torch.stack([self.model.log_probs(*row) for row in rows]).to(self.device)
        attention_weights = torch.zeros(len(rows), max(map(len, self.sources)), device=self.device)
        for row, (source, prefix) in enumerate(rows):
            attention_weights[row, : len(source)] = self.model.attention(source, prefix)
        # Whole numbers that bfloat16 can hold, to know a row by.
        marks = [(len(prefix), (BOS, *prefix)[-1], source[0]) for source, prefix in rows]
        states = torch.tensor(marks, device=self.device, dtype=torch.float32)
        columns = None
        if self.frugal:
            log_probs[:, self.forbidden] = DEAD
            log_probs, columns = log_probs.topk(min(self.beam_size + 1 + spare, self.model.vocab_size))
        self._previous = [(output, output.clone()) for output in (log_probs, attention_weights, states)]
        return StepOutput(log_probs, attention_weights, states, columns)

    def explain(self, sentences: Tensor, token_ids: Tensor, attention_weights: Tensor, states: Tensor) -> Tensor:
        """The attention turned round and with the token in it, so that it is known by it."""
        assert sentences.dtype == token_ids.dtype == torch.int64
        sources = [self.sources[self.owners.index(sentence)] for sentence in sentences.tolist()]
        assert attention_weights.shape == (*token_ids.shape, max(map(len, sources)))
        for source, ids, marks in zip(sources, token_ids.tolist(), states.tolist(), strict=True):
            length = ids.index(PAD) if PAD in ids else len(ids)
            before = [BOS, *ids[: length - 1]]
            assert marks[:length] == [[age, token_id, source[0]] for age, token_id in enumerate(before)]
        return token_ids[:, :, None] - attention_weights

    def reorder(self, rows: Tensor) -> None:
        assert rows.dtype == torch.int64
        chosen = rows.tolist()
        assert chosen != list(range(len(self.sources))), "nothing to do"
        kept = self.due or list(range(self.sentences))
        self.owners = [kept.index(self.owners[row]) for row in chosen]
        assert self.owners == sorted(self.owners)
        self.sources, self.prefixes = ([part[row] for row in chosen] for part in (self.sources, self.prefixes))
        self.sentences, self.due = len(kept), None
        self.reorders += 1

    def keep(self, sentences: Tensor) -> None:
        assert sentences.dtype == torch.int64
        assert self.due is None
        kept = sentences.tolist()
        assert kept == sorted(set(kept))
        self.due = kept
        if not kept:
            self.sources, self.prefixes, self.owners, self.sentences, self.due = [], [], [], 0, None


def log_prob_of(model: ToyModel, source: Ids, token_ids: Ids) -> float:
    """Sum over the tokens, each given those before it."""
    return sum(float(model.log_probs(source, token_ids[:t])[token]) for t, token in enumerate(token_ids))


def score_of(model: ToyModel, source: Ids, token_ids: Ids, options: DecodingOptions) -> float:
    """Wu et al. 2016, equation 14, word by word."""
    coverage = 0.0
    for position in range(len(source)):
        seen = sum(float(model.attention(source, token_ids[:t])[position]) for t in range(len(token_ids)))
        coverage += float(np.log(min(max(seen, COVERAGE_FLOOR), 1.0)))
    penalty: float = (5 + len(token_ids)) ** options.length_penalty / (5 + 1) ** options.length_penalty
    return log_prob_of(model, source, token_ids) / penalty + options.coverage_penalty * coverage


def exhaustive(model: ToyModel, source: Ids, options: DecodingOptions) -> list[Found]:
    """All strings up to the maximum length that have a probability: finished ones first, best first."""
    max_length = options.max_target_length(len(source))
    going_on = [token for token in range(model.vocab_size) if token not in (*FORBIDDEN, EOS)]
    bodies = [body for length in range(max_length) for body in product(going_on, repeat=length)]
    finished = [(*body, EOS) for body in bodies]
    cut = list(product(going_on, repeat=max_length))
    found = [
        Found(score_of(model, source, token_ids, options), token_ids, token_ids in set(finished[i : i + 1]))
        for i, token_ids in enumerate([*finished, *cut])
        if log_prob_of(model, source, token_ids) > DEAD
    ]
    return sorted(found, key=lambda each: (not each.finished, -each.score))


def greedy(model: ToyModel, source: Ids, max_length: int) -> Ids:
    """The likeliest token, again and again."""
    token_ids: Ids = ()
    while len(token_ids) < max_length and EOS not in token_ids:
        log_probs = model.log_probs(source, token_ids).tolist()
        allowed = [token for token in range(model.vocab_size) if token not in FORBIDDEN]
        token_ids = (*token_ids, max(allowed, key=lambda token: log_probs[token]))
    return token_ids


def plain_beam_search(model: ToyModel, source: Ids, options: DecodingOptions) -> list[Found]:
    """The rule of the search for one sentence on lists, without stopping early."""
    *_, (finished, live) = _plain_steps(model, source, options)
    max_length = options.max_target_length(len(source))
    at_limit = [token_ids for _, token_ids in live if len(token_ids) == max_length]
    found = [Found(score_of(model, source, ids, options), ids, True) for ids in finished]
    cut = [Found(score_of(model, source, ids, options), ids, False) for ids in at_limit]
    ranked = [sorted(group, key=lambda each: -each.score) for group in (found, cut)]
    return [*ranked[0], *ranked[1]][: options.n_best]


def plain_live(model: ToyModel, source: Ids, options: DecodingOptions) -> list[list[Ids]]:
    """The hypotheses that are continued at each length, as `plain_beam_search` goes on."""
    return [[()], *([ids for _, ids in live] for _, live in _plain_steps(model, source, options))]


def says_again(source: Ids, token_ids: Ids, options: DecodingOptions) -> bool:
    """Whether the last tokens stand in the hypothesis before, and all but one as many nowhere twice in the source."""
    size = options.no_repeat_ngram_size
    last, parts = token_ids[-size:], [source[start : start + size - 1] for start in range(len(source) - size + 2)]
    if not size or len(token_ids) < size or any(parts.count(part) > 1 for part in parts):
        return False
    return any(token_ids[start : start + size] == last for start in range(len(token_ids) - size))


def _plain_steps(
    model: ToyModel, source: Ids, options: DecodingOptions
) -> Iterator[tuple[list[Ids], list[tuple[np.float32, Ids]]]]:
    """Yields, after each step, what has finished and what lives on; float32 sums, as in the search."""
    live: list[tuple[np.float32, Ids]] = [(np.float32(0.0), ())]
    finished: list[Ids] = []
    for _ in range(options.max_target_length(len(source))):
        candidates = [
            (log_prob + np.float32(token_log_prob), (*token_ids, token))
            for log_prob, token_ids in live
            for token, token_log_prob in enumerate(model.log_probs(source, token_ids).tolist())
            if token not in FORBIDDEN and token_log_prob > DEAD and not says_again(source, (*token_ids, token), options)
        ]
        candidates.sort(key=lambda candidate: -candidate[0])
        taken = candidates[: options.beam_size - len(finished)]
        finished = finished + [token_ids for _, token_ids in taken if token_ids[-1] == EOS]
        live = [candidate for candidate in taken if candidate[1][-1] != EOS]
        if live and options.decision_delay and options.n_best == 1:
            decided = slice(0, max(0, len(live[0][1]) - options.decision_delay))
            live = [candidate for candidate in live if candidate[1][decided] == live[0][1][decided]]
        if live and options.pruning_threshold:
            least = live[0][0] - np.float32(options.pruning_threshold)
            live = [candidate for n, candidate in enumerate(live) if n < options.n_best or candidate[0] >= least]
        yield finished, live
        if len(finished) >= options.beam_size:
            return
