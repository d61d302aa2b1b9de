"""Kernels of our own for a decoding step in int8: `kernels.c`, reached through ctypes.

PyTorch computes a step as some hundred and fifty operations, each of which is called from Python, allocates what it
gives and, in a full batch, carries megabytes of logits through memory four times. Here the same step is one call
(`translator.kernel_search`), in which weights are read once and logits never leave the cache. The products are the same
sums of the same integers. Nothing here needs PyTorch, whose import takes longer than all else from the command to the
first translation.

They are there where the package was built with a C compiler and runs on a processor with AVX-512 VNNI, or with AVX2,
for which they are compiled once more; AMX is used where it is. Otherwise `available` is False and `translator.products`
computes with PyTorch.

Letters: N rows · H width of a layer · V vocabulary · B sentences · S source length · M numbers of a context.
"""

import contextlib
import ctypes
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from translator.arrays import LEVELS, Array, Bfloat16, aligned, in_levels
from translator.threads import thread_count
from translator.waiting import loading_openmp

OUTS, DEPTH = 16, 64
"""Outputs in a block and inputs in a tile: sizes of a product are filled up to multiples of them."""
ZERO_POINT = 128
"""VNNI multiplies unsigned rows with signed weights, so rows are moved up; for signed ones oneDNN has nothing but its
reference kernel, hundreds of times as slow."""
INTERFACE = 6
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


_ARGUMENTS: dict[str, list[Any]] = {
    "carousel_multiply": [ctypes.POINTER(_Rows), _INT64, ctypes.POINTER(Product), _POINTER, _INT, _INT],
    "carousel_read": [ctypes.POINTER(_Layer), *[ctypes.POINTER(_Direction)] * 2, _INT, _INT],
    "carousel_embed": [_INT64, _POINTER, _POINTER, _INT64, _POINTER],
    "carousel_join_values": [*[_INT64] * 4, _POINTER, *[_INT64] * 2, *[_POINTER] * 2, _INT],
    "carousel_tanh": [_INT64, _INT64, *[_POINTER, _INT64] * 2, _POINTER, _INT],
}


@lru_cache(maxsize=1)
def _library() -> Library | None:
    """Loads the first of what was built beside this file that this processor can run, which is the quicker."""
    with loading_openmp():
        _load_openmp()
        for path in sorted(Path(__file__).parent.glob("_kernels*.so")):
            if (library := _opened(path)) is not None:
                return library
    return None


def _load_openmp() -> None:
    """Loads the libgomp that PyTorch brings, so that there is one pool of threads whether or not PyTorch comes later.

    Without PyTorch it is one that lies beside the kernels, as in the container; else they take the system's.
    """
    found = find_spec("torch")
    folder = Path(found.origin).parent / "lib" if found and found.origin else Path(__file__).parent
    with contextlib.suppress(OSError):
        ctypes.CDLL(str(folder / "libgomp.so.1"), mode=ctypes.RTLD_GLOBAL)


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
    for name in ("carousel_embed", "carousel_join_values", "carousel_tanh"):
        getattr(functions, name).restype = None
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


class Int8Product:
    """`rows @ weight.T + bias` in int8.

    Args:
        weight: [out, in] float32.
        bias: [out] float32, or None.
        bound: Largest magnitude a row will hold.

    Raises:
        RuntimeError: The kernels are not available.
    """

    def __init__(self, weight: Array, bias: Array | None, *, bound: float) -> None:
        """Packs the weights: [out / 16, in / 4, 16, 4], or with 2 for 4, filled up with 0."""
        self.library = library()
        together = self.library.together
        self.out, width = weight.shape
        whole, scale = in_levels(weight)
        levels = np.zeros((_filled_up(self.out, OUTS), _filled_up(width, DEPTH)), dtype=np.int8)
        levels[: self.out, :width] = whole
        self.filled, filled_width = levels.shape
        blocks = levels.reshape(-1, OUTS, filled_width // together, together).swapaxes(1, 2)
        self._packed = aligned(blocks.shape, np.int8)
        self._packed[...] = blocks
        self._shift = levels.sum(axis=1, dtype=np.int32) * np.int32(ZERO_POINT)
        self._scale = np.zeros(self.filled, dtype=np.float32)
        self._scale[: self.out] = scale * np.float32(bound / LEVELS)
        # What fills the outputs up would be scored like a token: never.
        self._bias = np.full(self.filled, -np.inf, dtype=np.float32)
        self._bias[: self.out] = 0.0 if bias is None else bias
        self.product = Product(
            *(address(part) for part in (self._packed, self._shift, self._scale, self._bias)),
            filled_width,
            self.filled,
            LEVELS / bound,
        )

    def __call__(self, rows: Array) -> Array:
        """Multiplies rows, [N, in]; returns [N, filled], of which the first `out` columns are the outputs."""
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        result = aligned((len(rows), self.filled), np.float32)
        given = _Rows(address(rows), None, rows.shape[1], 0)
        _check(
            self.library.functions.carousel_multiply(
                given, len(rows), self.product, address(result), self.library.level, thread_count()
            )
        )
        return result

    def bits(self, allowed: NDArray[np.bool_]) -> NDArray[np.uint16]:
        """Lays a choice of the outputs, [out], out for the kernels: a bit each, sixteen to a number."""
        whole = np.zeros(self.filled, dtype=np.bool_)
        whole[: self.out] = allowed
        return np.packbits(whole, bitorder="little").view("<u2")


class Int8Reader:
    """A bidirectional LSTM layer that reads whole sentences, each direction from a state of zeros.

    Args:
        directions: Forwards and backwards, of each the product with the inputs, which has the bias, and the recurrent
            one; gates in the order of `translator.kernel_model.lstm_weights`.
    """

    def __init__(self, directions: Sequence[tuple[Int8Product, Int8Product]]) -> None:
        """Keeps the products."""
        self._kept = tuple(directions)
        self._library = directions[0][0].library
        self._directions = [_Direction(inputs.product, recurrent.product) for inputs, recurrent in directions]
        self._width = directions[0][1].out // 4

    def __call__(self, inputs: Array, lengths: NDArray[np.int64], *, residual: bool) -> tuple[Array, Array]:
        """Reads.

        Args:
            inputs: [B, S, any].
            lengths: Of the sentences. [B]
            residual: Whether the inputs, then 2H wide, are added to what is given.

        Returns:
            outputs [B, S, 2H], 0 behind a sentence, and each direction's output after its last token, [B, 2H].
        """
        inputs = np.ascontiguousarray(inputs, dtype=np.float32)
        order = np.argsort(-lengths, kind="stable")
        batch, length, in_width = inputs.shape
        outputs = aligned((batch, length, 2 * self._width), np.float32)
        summary = aligned((batch, 2 * self._width), np.float32)
        layer = _Layer(
            *(batch, length, in_width, self._width),
            *(address(inputs), address(lengths), address(order)),
            residual,
            *(address(outputs), address(summary)),
        )
        _check(self._library.functions.carousel_read(layer, *self._directions, self._library.level, thread_count()))
        return outputs, summary


def embed(ids: NDArray[np.int64], table: Bfloat16) -> Array:
    """Looks ids, [B, S], up in a table, [V, E]: [B, S, E]."""
    found = aligned((*ids.shape, table.shape[1]), np.float32)
    library().functions.carousel_embed(ids.size, address(ids), address(table), table.shape[1], address(found))
    return found


def join_values(parts: Sequence[Array], width: int, own: Array | None, own_width: int) -> Bfloat16:
    """Lays what each head adds to a context side by side, and adds what a position adds for being the piece it is.

    Args:
        parts: For each head [N, M or more], all alike.
        width: M.
        own: [N, `own_width` or more], added to the last numbers of M, an even share through each head; or None.
        own_width: So many numbers.

    Returns:
        [N, heads * M].
    """
    pointers = (_POINTER * len(parts))(*map(address, parts))
    joined = aligned((len(parts[0]), len(parts) * width), np.uint16)
    library().functions.carousel_join_values(
        *(len(joined), len(parts), width, parts[0].shape[1], pointers),
        *(own_width, 0 if own is None else own.shape[1], None if own is None else address(own)),
        address(joined),
        thread_count(),
    )
    return joined


def round_into(rounded: Bfloat16, rows: Array) -> None:
    """Rounds rows, [N, any], to bfloat16, in the place of those that stood in `rounded`; both contiguous."""
    library().functions.carousel_join_values(
        *(len(rows), 1, rows.shape[1], rows.shape[1], (_POINTER * 1)(address(rows))),
        *(0, 0, None, address(rounded)),
        thread_count(),
    )


def tanh(rows: Array) -> Array:
    """The hyperbolic tangent of rows, [N, any].

    NumPy's takes the numbers at the end of an array by themselves, and gives another last digit.
    """
    result = aligned(rows.shape, np.float32)
    library().functions.carousel_tanh(
        *rows.shape, address(rows), rows.shape[1], None, 0, address(result), thread_count()
    )
    return result


def address(array: NDArray[Any]) -> int:
    """Returns where an array lies, which is to be contiguous; it must outlive the call that is told."""
    return array.__array_interface__["data"][0]  # type: ignore[no-any-return]  # as `ctypes.data` says it, and sooner


def _filled_up(size: int, step: int) -> int:
    return -(-size // step) * step


def _check(failed: int) -> None:
    if failed:
        raise MemoryError("there is no memory for a decoding step.")
