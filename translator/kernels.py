"""Kernels of our own for a decoding step in int8: `kernels.c`, reached through ctypes.

PyTorch computes a step as some hundred and fifty operations, each of which is called from Python, allocates what it
gives and, in a full batch, carries megabytes of logits through memory four times. Here the same step is a call a layer
and five more, in which weights are read once and logits never leave the cache; and where `translator.kernel_search`
makes them, one. The products are the same sums of the same integers.

They are there where the package was built with a C compiler and runs on a processor with AVX-512 VNNI, or with AVX2,
for which they are compiled once more; AMX is used where it is. Otherwise `available` is False and `translator.products`
computes with PyTorch.

Letters: N rows · K beam size · H width of a layer · V vocabulary · B sentences · S source length · W tokens wanted.
"""

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

OUTS, DEPTH = 16, 64
"""Outputs in a block and inputs in a tile: sizes of a product are filled up to multiples of them."""
LEVELS = 127
ZERO_POINT = 128
"""VNNI multiplies unsigned rows with signed weights, so rows are moved up; for signed ones oneDNN has nothing but its
reference kernel, hundreds of times as slow."""
INTERFACE = 5
"""What `kernels.c` says of itself: an older file that an update left behind is not used."""

_POINTER, _INT64, _INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int


class Product(ctypes.Structure):
    """A product as `kernels.c` has it."""

    _fields_ = (
        ("weights", _POINTER),
        ("shift", _POINTER),
        ("scale", _POINTER),
        ("bias", _POINTER),
        ("in_", _INT64),
        ("out", _INT64),
        ("levels", ctypes.c_float),
    )


class _Rows(ctypes.Structure):
    _fields_ = (("left", _POINTER), ("right", _POINTER), ("left_width", _INT64), ("right_width", _INT64))


class _Direction(ctypes.Structure):
    _fields_ = (("inputs", Product), ("recurrent", Product))


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, _INT64) for name in ("batch", "length", "in_width", "width")),
        *((name, _POINTER) for name in ("inputs", "lengths", "order")),
        ("residual", _INT64),
        *((name, _POINTER) for name in ("outputs", "summary")),
    )


class Library(NamedTuple):
    """What was loaded: its functions, what the processor has, and how many inputs of an output lie side by side."""

    functions: Any
    level: int
    together: int


_INPUT = [ctypes.POINTER(_Rows), _INT64, ctypes.POINTER(Product)]
_ARGUMENTS: dict[str, list[Any]] = {
    "carousel_multiply": [*_INPUT, _POINTER, _INT, _INT],
    "carousel_lstm": [*_INPUT, _INT64, _POINTER, _INT64, *[_POINTER] * 5, _INT, _INT],
    "carousel_read": [ctypes.POINTER(_Layer), *[ctypes.POINTER(_Direction)] * 2, _INT, _INT],
    "carousel_attend": [_POINTER, _INT64, _POINTER, _INT64, *[_POINTER] * 3, *[_INT64] * 4, _POINTER, _POINTER, _INT],
    "carousel_origins": [*[_INT64] * 4, *[_POINTER] * 4, _INT],
    "carousel_tanh": [_INT64, _INT64, *[_POINTER, _INT64] * 2, _POINTER, _INT],
    "carousel_best": [*_INPUT, _POINTER, _INT64, _POINTER, _POINTER, _INT, _INT],
}


@lru_cache(maxsize=1)
def _library() -> Library | None:
    """Loads the first of what was built beside this file that this processor can run, which is the quicker.

    Its threads are those of the libgomp that PyTorch has loaded already.
    """
    for path in sorted(Path(__file__).parent.glob("_kernels*.so")):
        if (library := _opened(path)) is not None:
            return library
    return None


def _opened(path: Path) -> Library | None:
    """Loads one file; None if it is for another machine or version, or this processor lacks what it needs."""
    try:
        functions = ctypes.CDLL(str(path))
        if functions.carousel_interface() != INTERFACE or not (level := int(functions.carousel_level())):
            return None
        for name, arguments in _ARGUMENTS.items():
            getattr(functions, name).argtypes = arguments
        together = int(functions.carousel_together())
        functions.carousel_search_new  # noqa: B018  # the last part of the file; what has it has all of `kernel_search`'s
    except (OSError, AttributeError):
        return None
    functions.carousel_tanh.restype = functions.carousel_origins.restype = None
    return Library(functions, level, together)


def available() -> bool:
    """Whether the kernels were built, and this processor has what they need."""
    return _library() is not None


def library() -> Library:
    """Returns what was loaded.

    Raises:
        RuntimeError: The kernels are not available.
    """
    if (loaded := _library()) is None:
        raise RuntimeError("the kernels are not available here.")
    return loaded


def in_levels(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Rounds weights, [out, in], to 255 levels: these, int8, and what one is worth in each row, [out] float32."""
    scale = weight.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / LEVELS
    return (weight / scale[:, None]).round().to(torch.int8), scale


class Int8Product:
    """`rows @ weight.t() + bias` in int8, and what a step does with the result at once.

    Args:
        weight: [out, in] float32.
        bias: [out] float32, or None.
        bound: Largest magnitude a row will hold.

    Raises:
        RuntimeError: The kernels are not available.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, *, bound: float) -> None:
        """Packs the weights: [out / 16, in / 4, 16, 4], or with 2 for 4, filled up with 0."""
        self.library = library()
        together = self.library.together
        self.out, width = weight.shape
        whole, scale = in_levels(weight)
        levels = torch.zeros(_filled_up(self.out, OUTS), _filled_up(width, DEPTH), dtype=torch.int8)
        levels[: self.out, :width] = whole
        more = len(levels) - self.out
        self._packed = levels.unflatten(0, (-1, OUTS)).unflatten(2, (-1, together)).transpose(1, 2).contiguous()
        self._shift = levels.sum(dim=1, dtype=torch.int32).mul_(ZERO_POINT)
        self._scale = torch.nn.functional.pad(scale * (bound / LEVELS), (0, more))
        # What fills the outputs up would be scored like a token: never.
        self._bias = torch.full((len(levels),), -torch.inf)
        self._bias[: self.out] = 0.0 if bias is None else bias
        self._filled = levels.shape[0]
        self.product = Product(
            *(part.data_ptr() for part in (self._packed, self._shift, self._scale, self._bias)),
            levels.shape[1],
            len(levels),
            LEVELS / bound,
        )

    def __call__(self, left: Tensor, right: Tensor | None = None) -> Tensor:
        """Multiplies rows, [N, in] float32, perhaps in two parts that belong side by side; returns [N, out]."""
        rows, kept = _rows(left, right)
        count = left.shape[0]
        result = torch.empty(count, self._filled)
        _check(self.library.functions.carousel_multiply(rows, count, self.product, result.data_ptr(), *self._how()))
        del kept
        return result if self.out == self._filled else result[:, : self.out].contiguous()

    def lstm(
        self,
        cell: Tensor,
        left: Tensor,
        right: Tensor | None = None,
        *,
        more: Tensor | None = None,
        table: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One step of the LSTM layer whose gates this product makes: `translator.lstm_cell` of the result and `more`.

        Args:
            cell: [N, H].
            left: What the product reads, and `right` beside it. [N, any]
            right: Likewise, or None.
            more: Added to the gates, [N, 4H]; a row's numbers lie side by side, rows may be apart.
            table: Rows in bfloat16 [V, 4H], and of each row the one to be added, [N] int64.

        Returns:
            The next hidden and cell, each [N, H].
        """
        rows, kept = _rows(left, right)
        cell = cell.contiguous()
        hidden, following = torch.empty(cell.shape), torch.empty(cell.shape)
        entries, which = (part.contiguous() for part in table) if table else (None, None)
        _check(
            self.library.functions.carousel_lstm(
                rows,
                cell.shape[0],
                self.product,
                cell.shape[1],
                *((None, 0) if more is None else (more.data_ptr(), more.stride(0))),
                *(None if part is None else part.data_ptr() for part in (entries, which)),
                *(part.data_ptr() for part in (cell, hidden, following)),
                *self._how(),
            )
        )
        del kept
        return hidden, following

    def best(self, rows: Tensor, *, allowed: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
        """The likeliest of the outputs, as `log_softmax(product)` has them; the lower one first of equals.

        Args:
            rows: [N, in].
            allowed: Which outputs may be given, the others only count in the sum; from `bits`.
            wanted: W, at most as many as are allowed.

        Returns:
            log_probs [N, W] float32, best first, and which outputs they are of, [N, W] int64.
        """
        taken, kept = _rows(rows, None)
        count = rows.shape[0]
        log_probs, ids = torch.empty(count, wanted), torch.empty(count, wanted, dtype=torch.int64)
        pointers = (allowed.data_ptr(), wanted, log_probs.data_ptr(), ids.data_ptr())
        _check(self.library.functions.carousel_best(taken, count, self.product, *pointers, *self._how()))
        del kept
        return log_probs, ids

    def bits(self, allowed: Tensor) -> Tensor:
        """Lays a choice of the outputs, [out] bool, out for `best`: a bit each, sixteen to a number."""
        whole = torch.nn.functional.pad(allowed, (0, len(self._bias) - self.out)).view(-1, OUTS)
        return (whole.to(torch.int32) << torch.arange(OUTS, dtype=torch.int32)).sum(dim=1).to(torch.uint16)

    def _how(self) -> tuple[int, int]:
        return self.library.level, torch.get_num_threads()


class Int8Reader:
    """A bidirectional LSTM layer that reads whole sentences, each direction from a state of zeros.

    Args:
        directions: Forwards and backwards, of each the product with the inputs, which has the bias, and the recurrent
            one; gates in the order of `translator.lstm_cell`.
    """

    def __init__(self, directions: Sequence[tuple[Int8Product, Int8Product]]) -> None:
        """Keeps the products."""
        self._kept = tuple(directions)
        self._library = directions[0][0].library
        self._directions = [_Direction(inputs.product, recurrent.product) for inputs, recurrent in directions]
        self._width = directions[0][1].out // 4

    def __call__(self, inputs: Tensor, lengths: Tensor, *, residual: bool) -> tuple[Tensor, Tensor]:
        """Reads.

        Args:
            inputs: [B, S, any] float32.
            lengths: Of the sentences. [B] int64
            residual: Whether the inputs, then 2H wide, are added to what is given.

        Returns:
            outputs [B, S, 2H], 0 behind a sentence, and each direction's output after its last token, [B, 2H].
        """
        inputs, lengths = inputs.contiguous(), lengths.contiguous()
        order = lengths.argsort(descending=True, stable=True)
        batch, length, in_width = inputs.shape
        outputs, summary = torch.empty(batch, length, 2 * self._width), torch.empty(batch, 2 * self._width)
        layer = _Layer(
            *(batch, length, in_width, self._width),
            *(inputs.data_ptr(), lengths.data_ptr(), order.data_ptr()),
            residual,
            *(outputs.data_ptr(), summary.data_ptr()),
        )
        how = self._library.level, torch.get_num_threads()
        _check(self._library.functions.carousel_read(layer, *self._directions, *how))
        return outputs, summary


def attend(
    queries: Tensor, places: Tensor, keys: Tensor, values: Tensor, padding: Tensor, *, beam_size: int, heads: int
) -> tuple[Tensor, Tensor]:
    """Asks the attention of whole rows: see `translator.packed_model.PackedModel.attend`.

    Args:
        queries: Scaled. [N, heads * D]
        places: k + K * b for row k of sentence b. [N] int64
        keys: [B, S, heads * D] float32.
        values: [B, S, heads * M] bfloat16.
        padding: True behind the tokens. [B, S] bool
        beam_size: K.
        heads: How many.

    Returns:
        context [N, M], summed over heads, and the weights, their mean, exactly 0 on padding. [N, S]
    """
    loaded = library()
    queries, places, keys, values, padding = (part.contiguous() for part in (queries, places, keys, values, padding))
    rows, length = queries.shape[0], padding.shape[1]
    key_width, value_width = keys.shape[2] // heads, values.shape[2] // heads
    context, weights = torch.empty(rows, value_width), torch.empty(rows, length)
    _check(
        loaded.functions.carousel_attend(
            queries.data_ptr(),
            rows,
            *(places.data_ptr(), beam_size),
            *(part.data_ptr() for part in (keys, values, padding)),
            *(length, heads, key_width, value_width),
            *(context.data_ptr(), weights.data_ptr()),
            torch.get_num_threads(),
        )
    )
    return context, weights


def tanh(left: Tensor, right: Tensor | None = None) -> Tensor:
    """The hyperbolic tangent of `left`, [N, any], or of its sum with `right`; rows may be apart, numbers in them not.

    PyTorch's takes the numbers at the end of a batch by themselves, and gives another last digit.
    """
    loaded = library()
    result = torch.empty(left.shape)
    second = (None, 0) if right is None else (right.data_ptr(), right.stride(0))
    loaded.functions.carousel_tanh(
        *left.shape, left.data_ptr(), left.stride(0), *second, result.data_ptr(), torch.get_num_threads()
    )
    return result


def origins(states: Tensor, sources: Tensor, written: Tensor) -> Tensor:
    """The logit of each token, had the readout seen one source position alone: see `translator.posterior`.

    Args:
        states: [B, T, E] float32.
        sources: [B, S, E] float32.
        written: [B, T, E] float32.

    Returns:
        [B, T, S].
    """
    states, sources, written = (part.contiguous() for part in (states, sources, written))
    batch, tokens, width = states.shape
    result = torch.empty(batch, tokens, sources.shape[1])
    pointers = (part.data_ptr() for part in (states, sources, written, result))
    library().functions.carousel_origins(batch, tokens, sources.shape[1], width, *pointers, torch.get_num_threads())
    return result


def _rows(left: Tensor, right: Tensor | None) -> tuple[_Rows, tuple[Tensor, ...]]:
    """Points at rows; the tensors are to be kept until they were read."""
    left = left.contiguous()
    if right is None:
        return _Rows(left.data_ptr(), None, left.shape[1], 0), (left,)
    right = right.contiguous()
    return _Rows(left.data_ptr(), right.data_ptr(), left.shape[1], right.shape[1]), (left, right)


def _filled_up(size: int, step: int) -> int:
    return -(-size // step) * step


def _check(failed: int) -> None:
    if failed:
        raise MemoryError("there is no memory for a decoding step.")
