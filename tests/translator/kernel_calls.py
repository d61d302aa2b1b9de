"""Parts of a step by the kernels, each called by itself: the search makes them in one go."""

import ctypes
from typing import Any

import torch
from torch import Tensor

from translator.kernels import Int8Product, Product, library

_POINTER, _INT64, _INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int


class _Rows(ctypes.Structure):
    _fields_ = (("left", _POINTER), ("right", _POINTER), ("left_width", _INT64), ("right_width", _INT64))


_INPUT = [ctypes.POINTER(_Rows), _INT64, ctypes.POINTER(Product)]
_ARGUMENTS: dict[str, list[Any]] = {
    "lstm": [*_INPUT, _INT64, _POINTER, _INT64, *[_POINTER] * 5, _INT, _INT],
    "attend": [_POINTER, _INT64, _POINTER, _INT64, *[_POINTER] * 3, *[_INT64] * 4, _POINTER, _POINTER, _INT],
    "origins": [*[_INT64] * 4, *[_POINTER] * 4, _INT],
    "best": [*_INPUT, _POINTER, _INT64, _POINTER, _POINTER, _INT, _INT],
}


def _call(name: str, *arguments: Any) -> None:
    function = library().functions[f"carousel_{name}"]  # by its index it is a function of its own, and keeps no types
    function.argtypes = _ARGUMENTS[name]
    if name == "origins":
        function.restype = None
    assert not function(*arguments)


def _rows(left: Tensor, right: Tensor | None = None) -> tuple[_Rows, tuple[Tensor, ...]]:
    """Points at rows; the tensors are to be kept until they were read."""
    left = left.contiguous()
    if right is None:
        return _Rows(left.data_ptr(), None, left.shape[1], 0), (left,)
    right = right.contiguous()
    return _Rows(left.data_ptr(), right.data_ptr(), left.shape[1], right.shape[1]), (left, right)


def packed(weight: Tensor, bias: Tensor | None, *, bound: float) -> Int8Product:
    return Int8Product(weight.numpy(), None if bias is None else bias.numpy(), bound=bound)


def multiply(product: Int8Product, rows: Tensor) -> Tensor:
    """[N, in] to [N, out]."""
    return torch.from_numpy(product(rows.numpy())[:, : product.out].copy())


def lstm(
    product: Int8Product,
    cell: Tensor,
    left: Tensor,
    right: Tensor | None = None,
    *,
    more: Tensor | None = None,
    table: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of the LSTM layer whose gates a product makes: `translator.lstm_cell` of the result and `more`.

    `more` is added to the gates, [N, 4H], its rows perhaps apart; a table is rows in bfloat16 [V, 4H], and of each row
    the one to be added, [N].
    """
    rows, _kept = _rows(left, right)
    cell = cell.contiguous()
    hidden, following = torch.empty(cell.shape), torch.empty(cell.shape)
    entries, which = (part.contiguous() for part in table) if table else (None, None)
    _call(
        "lstm",
        rows,
        cell.shape[0],
        product.product,
        cell.shape[1],
        *((None, 0) if more is None else (more.data_ptr(), more.stride(0))),
        *(None if part is None else part.data_ptr() for part in (entries, which)),
        *(part.data_ptr() for part in (cell, hidden, following)),
        product.library.level,
        2,
    )
    return hidden, following


def best(product: Int8Product, rows: Tensor, *, allowed: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
    """The likeliest of the outputs that are allowed, [out] bool: log_probs and ids, [N, W], best first."""
    taken, _kept = _rows(rows)
    bits, count = product.bits(allowed.numpy()), rows.shape[0]
    log_probs, ids = torch.empty(count, wanted), torch.empty(count, wanted, dtype=torch.int64)
    pointers = (bits.ctypes.data, wanted, log_probs.data_ptr(), ids.data_ptr())
    _call("best", taken, count, product.product, *pointers, product.library.level, 2)
    return log_probs, ids


def attend(
    queries: Tensor, places: Tensor, keys: Tensor, values: Tensor, padding: Tensor, *, beam_size: int, heads: int
) -> tuple[Tensor, Tensor]:
    """Asks the attention of whole rows.

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
    queries, places, keys, values, padding = (part.contiguous() for part in (queries, places, keys, values, padding))
    rows, length = queries.shape[0], padding.shape[1]
    key_width, value_width = keys.shape[2] // heads, values.shape[2] // heads
    context, weights = torch.empty(rows, value_width), torch.empty(rows, length)
    _call(
        "attend",
        queries.data_ptr(),
        rows,
        *(places.data_ptr(), beam_size),
        *(part.data_ptr() for part in (keys, values, padding)),
        *(length, heads, key_width, value_width),
        *(context.data_ptr(), weights.data_ptr()),
        2,
    )
    return context, weights


def origins(states: Tensor, sources: Tensor, written: Tensor) -> Tensor:
    """The logit of each token, had the readout seen one source position alone: [B, T, E], [B, S, E] to [B, T, S]."""
    states, sources, written = (part.contiguous() for part in (states, sources, written))
    batch, tokens, width = states.shape
    result = torch.empty(batch, tokens, sources.shape[1])
    _call(
        "origins",
        *(batch, tokens, sources.shape[1], width),
        *(part.data_ptr() for part in (states, sources, written, result)),
        2,
    )
    return result
