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

from translator import kernels
from translator.config import DecodingOptions
from translator.errors import ConfigError
from translator.kernel_model import NOTHING_ELSE, WHOLE_VOCABULARY, KernelModel
from translator.kernels import Product, address
from translator.repetition import repeats_itself
from translator.scoring import Hypothesis, coverage_penalty, length_penalty
from translator.threads import thread_count

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
    "admit": (_INT, [_POINTER, _INT64, *[_POINTER] * 3, _INT64, *[_POINTER] * 4]),
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


class KernelSearch:
    """Beam search over any number of sentences, none of which sees the others; not thread-safe.

    Args:
        model: Packed for the kernels.
        bos_id: The token every hypothesis starts from; not part of the result.
        eos_id: The token that ends one; part of the result.
        options: Beam size, penalties, lengths; the same for all sentences of this search.
        forbidden_ids: Tokens never produced: padding, bos, language tokens.

    Raises:
        ConfigError: `eos_id` is forbidden.
    """

    def __init__(
        self,
        model: KernelModel,
        *,
        bos_id: int,
        eos_id: int,
        options: DecodingOptions,
        forbidden_ids: Sequence[int] = (),
    ) -> None:
        """Start without sentences."""
        if eos_id in forbidden_ids:
            raise ConfigError(f"forbidden_ids holds the eos_id {eos_id}: nothing could end; take it out.")
        self._model, self._options = model, options
        library = kernels.library()
        self._functions, self._level = _functions(library), library.level
        decoder, self._kept = _decoder(model, forbidden_ids)
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
        self._length_penalties = np.ones(0, dtype=np.float32)  # [length]
        self._admitted = 0

    @property
    def live(self) -> int:
        """Sentences admitted that have neither ended nor been cancelled."""
        return len(self._lengths)

    def admit(
        self,
        sources: Sequence[Sequence[int]],
        *,
        n_best: Sequence[int] | None = None,
        given: Sequence[Sequence[int]] | None = None,
    ) -> list[int]:
        """Take sentences in, at any step; returns one ticket each, never used twice.

        Args:
            sources: Ids with language token and eos.
            n_best: Hypotheses wanted of each, at most those of the options, which is what None asks for.
            given: What each is to say, none empty and eos at its end alone, instead of what the model would; of the
                whole vocabulary, whatever the shortlist.

        Raises:
            ConfigError: More are wanted than the options say.
            ValueError: A source is empty, or an id is not of the vocabulary.
        """
        if not sources:
            return []
        options, model = self._options, self._model
        if n_best and not all(1 <= count <= options.n_best for count in n_best):
            raise ConfigError(f"n_best is {list(n_best)}, wanted 1 to {options.n_best} for each sentence.")
        read = model.read(sources)
        tickets = list(range(self._admitted, self._admitted + len(sources)))
        longest = [options.max_target_length(len(source)) for source in sources]
        wanted, size = n_best or [options.n_best] * len(sources), options.no_repeat_ngram_size
        said = None
        if given is None:
            repeats = [size > 0 and repeats_itself(source, size) for source in sources]
            lists, own = zip(*map(model.list_of, sources), strict=True)
        else:
            longest, repeats = list(map(len, given)), [True] * len(given)
            lists, own = (WHOLE_VOCABULARY,) * len(given), (NOTHING_ELSE,) * len(given)
            said = np.concatenate([np.asarray(target, dtype=np.int64) for target in given])
            model.check_ids(said)
        facts = np.array([tickets, list(map(len, sources)), longest, wanted, repeats, lists, list(map(len, own))]).T
        facts, own_ids = (np.ascontiguousarray(part, dtype=np.int64) for part in (facts, np.concatenate(own)))
        _there(
            not self._functions.admit(
                self._search,
                len(sources),
                address(facts),
                address(own_ids),
                None if said is None else address(said),
                read.keys.shape[1],
                *(address(part) for part in read),
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
        token_ids = np.empty(self._lengths[ticket], dtype=np.int64)
        count = self._functions.settled(self._search, ticket, address(token_ids))
        _there(count != NO_MEMORY)
        found: list[int] = token_ids[:count].tolist()
        return found

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
        count = self._functions.advance(self._search, address(self._length_penalties), self._level, thread_count())
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
        looked, came_from = np.empty((2, tokens, source_length), dtype=np.float32)
        pointers = (token_ids, log_probs, address(looked), address(came_from))
        _there(not self._functions.answer(self._search, place, which, *pointers, thread_count()))
        log_prob, options = sum(log_probs), self._options
        score = log_prob / length_penalty(tokens, options.length_penalty)
        score += coverage_penalty(looked, options.coverage_penalty)
        return Hypothesis(tuple(token_ids), tuple(log_probs), log_prob, score, looked, came_from, finished)

    def _tabulate_length_penalties(self, longest: int) -> None:
        if longest >= len(self._length_penalties):
            alpha = self._options.length_penalty
            penalties = [length_penalty(length, alpha) for length in range(longest + 1)]
            self._length_penalties = np.array(penalties, dtype=np.float32)


@lru_cache(maxsize=4)
def _functions(library: kernels.Library) -> _Functions:
    functions = _Functions(*(getattr(library.functions, f"carousel_search_{name}") for name in _SIGNATURES))
    for function, (result, arguments) in zip(functions, _SIGNATURES.values(), strict=True):
        function.restype, function.argtypes = result, arguments
    return functions


def _decoder(model: KernelModel, forbidden_ids: Sequence[int]) -> tuple[_Decoder, tuple[object, ...]]:
    """Points at a model's weights; what is pointed at is to be kept."""
    possible = np.ones(model.output.out, dtype=np.bool_)
    possible[list(forbidden_ids)] = False
    bits = model.output.bits(possible)
    later = (ctypes.POINTER(Product) * max(1, len(model.later)))(
        *(ctypes.pointer(each.product) for each in model.later)
    )
    lists = (_List * max(1, len(model.lists)))(
        *(_List(each.product.product, address(each.token_ids)) for each in model.lists)
    )
    decoder = _Decoder(
        *(model.layers, model.width, model.heads, model.query.out // model.heads, model.value_width, model.readout.out),
        *(ctypes.pointer(part.product) for part in (model.first, model.query, model.readout, model.output)),
        ctypes.cast(later, _POINTER),
        *(address(part) for part in (model.first_gates, model.embeddings)),
        model.embedding_scale,
        address(bits),
        int(possible.sum()),
        ctypes.cast(lists, _POINTER),
    )
    return decoder, (model, bits, later, lists)


def _there(got: object) -> Any:
    """What a function gave, if it gave anything."""
    if not got:
        raise MemoryError("There is no memory left to search in.")
    return got
