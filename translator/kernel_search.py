"""The beam search of `beam_search` by the kernels: the same sentences, rules and answers, a step in one call.

That file is there to be read, and searches over any model. This one searches over a model whose products are the
kernels': `search.h` does in one go what the other does with arrays, and the step of the decoder between.

With a shortlist, what all sentences of a language may use is scored for all of them together, and the few tokens that
one sentence may use besides for it alone.

Letters: B sentences · S source length · T tokens of a hypothesis.
"""

import ctypes
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import finalize

import numpy as np
import torch

from translator import kernels
from translator.batch import pad
from translator.config import DecodingOptions
from translator.errors import ConfigError
from translator.kernels import Int8Product, Product
from translator.no_repeat import repeats_itself
from translator.output import Possible
from translator.packed_model import PackedModel
from translator.scoring import Hypothesis, coverage_penalty, length_penalty

_POINTER, _INT64, _INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
NO_MEMORY = -2  # to what a sentence will begin with


class _Decoder(ctypes.Structure):
    _fields_ = (
        *((name, _INT64) for name in ("layers", "width", "heads", "key_width", "value_width", "readout_width")),
        *((name, ctypes.POINTER(Product)) for name in ("first", "query", "readout", "output")),
        *((name, _POINTER) for name in ("later", "first_gates", "embeddings")),
        ("embedding_scale", ctypes.c_float),
        ("open", _POINTER),
        ("possible", _INT64),
        ("lists", _POINTER),
    )


class _List(ctypes.Structure):
    _fields_ = (("product", Product), ("ids", _POINTER))


class _Options(ctypes.Structure):
    _fields_ = (
        *((name, _INT64) for name in ("beam_size", "most", "bos", "eos", "delay", "ngram")),
        ("threshold", ctypes.c_float),
        ("coverage", ctypes.c_float),
    )


_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "new": (_POINTER, [ctypes.POINTER(_Decoder), ctypes.POINTER(_Options)]),
    "free": (None, [_POINTER]),
    "admit": (_INT, [_POINTER, _INT64, *[_POINTER] * 2, _INT64, *[_POINTER] * 4]),
    "cancel": (None, [_POINTER, _INT64]),
    "settled": (_INT64, [_POINTER, _INT64, _POINTER]),
    "advance": (_INT64, [_POINTER, _POINTER, _INT, _INT]),
    "ended": (None, [_POINTER, _INT64, _POINTER]),
    "length": (_INT64, [_POINTER, _INT64, _INT64]),
    "answer": (_INT, [_POINTER, _INT64, _INT64, *[_POINTER] * 4, _INT]),
}


class _Functions(NamedTuple):
    """Those of `search.h`."""

    new: Any
    free: Any
    admit: Any
    cancel: Any
    settled: Any
    advance: Any
    ended: Any
    length: Any
    answer: Any


class _About(NamedTuple):
    """What `carousel_search_ended` says of a sentence."""

    ticket: int
    source_length: int
    hypotheses: int
    wanted: int


def can_search(engine: PackedModel) -> bool:
    """Whether a model is one for `KernelSearch`."""
    return bool(engine.kernel_layers)


class KernelSearch:
    """Beam search over any number of sentences, none of which sees the others; not thread-safe.

    Args:
        engine: The model, which `can_search` says yes to.
        bos_id: The token every hypothesis starts from; not part of the result.
        eos_id: The token that ends one; part of the result.
        options: Beam size, penalties, lengths; the same for all sentences of this search.
        forbidden_ids: Tokens never produced: padding, bos, language tokens.

    Raises:
        ConfigError: `eos_id` is forbidden.
    """

    def __init__(
        self,
        engine: PackedModel,
        *,
        bos_id: int,
        eos_id: int,
        options: DecodingOptions,
        forbidden_ids: Sequence[int] = (),
    ) -> None:
        """Start without sentences."""
        if eos_id in forbidden_ids:
            raise ConfigError(f"forbidden_ids holds the eos_id {eos_id}: nothing could end; take it out.")
        self._engine, self._options = engine, options
        library = kernels.library()
        self._functions, self._level = _functions(library), library.level
        decoder, self._kept = _decoder(engine, forbidden_ids)
        how = _Options(
            *(options.beam_size, options.n_best, bos_id, eos_id),
            options.decision_delay if options.beam_size > 1 else 0,
            options.no_repeat_ngram_size,
            options.pruning_threshold,
            options.coverage_penalty,
        )
        self._search = _there(self._functions.new(decoder, how))
        finalize(self, self._functions.free, self._search)
        self._lengths: dict[int, int] = {}  # the most tokens of each live sentence, by ticket
        self._length_penalties = torch.ones(0)  # [length]
        self._admitted = 0

    @property
    def live(self) -> int:
        """Sentences admitted that have neither ended nor been cancelled."""
        return len(self._lengths)

    @torch.inference_mode()
    def admit(self, sources: Sequence[Sequence[int]], *, n_best: Sequence[int] | None = None) -> list[int]:
        """Take sentences in, at any step; returns one ticket each, never used twice.

        Args:
            sources: Ids with language token and eos.
            n_best: Hypotheses wanted of each, at most those of the options, which is what None asks for.

        Raises:
            ConfigError: More are wanted than the options say.
        """
        if not sources:
            return []
        options, engine = self._options, self._engine
        if n_best and not all(1 <= count <= options.n_best for count in n_best):
            raise ConfigError(f"n_best is {list(n_best)}, wanted 1 to {options.n_best} for each sentence.")
        memory, state = engine.encode(pad(sources, engine.pad_id).to(engine.device))
        tickets = list(range(self._admitted, self._admitted + len(sources)))
        longest = [options.max_target_length(len(source)) for source in sources]
        wanted, size = n_best or [options.n_best] * len(sources), options.no_repeat_ngram_size
        repeats = [size > 0 and repeats_itself(source, size) for source in sources]
        lists, own = zip(*map(engine.output.list_of, sources), strict=True)
        facts = np.array([tickets, list(map(len, sources)), longest, wanted, repeats, lists, list(map(len, own))]).T
        facts, own_ids = (np.ascontiguousarray(part, dtype=np.int64) for part in (facts, np.concatenate(own)))
        parts = [part.contiguous() for part in (memory.keys, memory.projected_values, *state)]
        _there(
            not self._functions.admit(
                self._search,
                len(sources),
                facts.ctypes.data,
                own_ids.ctypes.data,
                parts[0].shape[1],
                *(part.data_ptr() for part in parts),
            )
        )
        self._admitted += len(sources)
        self._lengths.update(zip(tickets, longest, strict=True))
        self._tabulate_length_penalties(max(longest))
        return tickets

    def cancel(self, tickets: Iterable[int]) -> None:
        """Forget sentences. Tickets that are not live are ignored."""
        for ticket in tickets:
            if self._lengths.pop(ticket, None) is not None:
                self._functions.cancel(self._search, ticket)

    def settled(self, ticket: int) -> list[int]:
        """Tokens that the best hypothesis of a live sentence will begin with: all that may still win share them.

        Raises:
            KeyError: The sentence is not live.
        """
        token_ids = torch.empty(self._lengths[ticket], dtype=torch.int64)
        count = self._functions.settled(self._search, ticket, token_ids.data_ptr())
        _there(count != NO_MEMORY)
        return token_ids[:count].tolist()

    def run(self) -> dict[int, list[Hypothesis]]:
        """Advance until no sentence is live: the hypotheses of each ticket, as `advance` gives them."""
        results: dict[int, list[Hypothesis]] = {}
        while self._lengths:
            results.update(self.advance())
        return results

    def advance(self) -> list[tuple[int, list[Hypothesis]]]:
        """Produce one token for every live sentence.

        Returns:
            The sentences that ended with it: ticket and `n_best` hypotheses, finished before cut, best first.
            There are fewer only if no more exist; none if the model gave no possible token at all.
        """
        count = self._functions.advance(
            self._search, self._length_penalties.data_ptr(), self._level, torch.get_num_threads()
        )
        if count < 0:
            self._lengths.clear()
        _there(count >= 0)
        ended = [self._about(place) for place in range(count)]
        return [(about.ticket, self._answers(place, about)) for place, about in enumerate(ended)]

    def _about(self, place: int) -> _About:
        numbers = (_INT64 * len(_About._fields))()
        self._functions.ended(self._search, place, numbers)
        about = _About(*numbers)
        del self._lengths[about.ticket]
        return about

    def _answers(self, place: int, about: _About) -> list[Hypothesis]:
        hypotheses = [self._hypothesis(place, which, about.source_length) for which in range(about.hypotheses)]
        hypotheses.sort(key=lambda hypothesis: (not hypothesis.finished, -hypothesis.score))
        return hypotheses[: about.wanted]

    def _hypothesis(self, place: int, which: int, source_length: int) -> Hypothesis:
        length = self._functions.length(self._search, place, which)
        finished = length > 0
        tokens = length if finished else -length - 1
        token_ids, log_probs = (_INT64 * tokens)(), (ctypes.c_float * tokens)()
        looked, came_from = torch.empty(tokens, source_length), torch.empty(tokens, source_length)
        pointers = (token_ids, log_probs, looked.data_ptr(), came_from.data_ptr())
        _there(not self._functions.answer(self._search, place, which, *pointers, torch.get_num_threads()))
        log_prob, options = sum(log_probs), self._options
        score = log_prob / length_penalty(tokens, options.length_penalty)
        score += coverage_penalty(looked, options.coverage_penalty)
        return Hypothesis(tuple(token_ids), tuple(log_probs), log_prob, score, looked, came_from, finished)

    def _tabulate_length_penalties(self, longest: int) -> None:
        if longest >= len(self._length_penalties):
            alpha = self._options.length_penalty
            self._length_penalties = torch.tensor([length_penalty(length, alpha) for length in range(longest + 1)])


@lru_cache(maxsize=4)
def _functions(library: kernels.Library) -> _Functions:
    functions = _Functions(*(getattr(library.functions, f"carousel_search_{name}") for name in _SIGNATURES))
    for function, (result, arguments) in zip(functions, _SIGNATURES.values(), strict=True):
        function.restype, function.argtypes = result, arguments
    return functions


def _decoder(engine: PackedModel, forbidden_ids: Sequence[int]) -> tuple[_Decoder, tuple[object, ...]]:
    """Points at a model's weights; what is pointed at is to be kept."""
    possible, output, query, readout = (
        engine.output.all_but(forbidden_ids),
        engine.output.product,
        engine.query,
        engine.readout,
    )
    if not (
        isinstance(possible, Possible)
        and isinstance(output, Int8Product)
        and isinstance(query, Int8Product)
        and isinstance(readout, Int8Product)
    ):
        raise RuntimeError("the model is not one for the kernels.")
    first, *others = engine.kernel_layers
    output_lists = engine.output.lists
    later = (ctypes.POINTER(Product) * max(1, len(others)))(*(ctypes.pointer(layer.product) for layer in others))
    lists = (_List * max(1, len(output_lists)))(
        *(_List(each.product.product, each.token_ids.ctypes.data) for each in output_lists)
    )
    decoder = _Decoder(
        *(1 + len(others), first.out // 4, engine.heads, query.out // engine.heads, sum(engine.context_widths)),
        readout.out,
        *(ctypes.pointer(part.product) for part in (first, query, readout, output)),
        ctypes.cast(later, _POINTER),
        *(part.data_ptr() for part in (engine.first_gates, engine.embeddings)),
        engine.embedding_scale,
        possible.bits.data_ptr(),
        possible.tokens,
        ctypes.cast(lists, _POINTER),
    )
    return decoder, (engine, possible, later, lists)


def _there(got: object) -> Any:
    """What a function gave, if it gave anything."""
    if not got:
        raise MemoryError("There is no memory left to search in.")
    return got
