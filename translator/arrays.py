"""Arrays as the kernels want them: where memory begins, int8, and bfloat16, which NumPy does not have.

A number in bfloat16 is the upper half of one in float32; here it is kept as uint16.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[np.float32]
Bfloat16 = NDArray[np.uint16]

LEVELS = 127
NOT_A_NUMBER = 0x7FC0
LINE = 64
"""Bytes of a line of the cache: a vector or the row of a tile that begins inside of one is read twice."""


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Returns room for an array that begins with a line of the cache; what is in it is left over."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + LINE, dtype=np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + size].view(dtype).reshape(shape)


def narrowed(numbers: Array) -> Bfloat16:
    """Rounds to bfloat16, to the even one of two that are equally near."""
    numbers = np.ascontiguousarray(numbers, dtype=np.float32)
    bits = numbers.view(np.uint32)
    rounded: Bfloat16 = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    rounded[np.isnan(numbers)] = NOT_A_NUMBER
    return rounded


def widened(numbers: Bfloat16) -> Array:
    """Returns numbers in bfloat16 as float32."""
    return (numbers.astype(np.uint32) << 16).view(np.float32)


def in_levels(weight: Array) -> tuple[NDArray[np.int8], Array]:
    """Rounds weights, [out, in], to 255 levels: these, and what one is worth in each row, [out] float32."""
    scale = np.maximum(np.abs(weight).max(axis=1), np.finfo(np.float32).tiny) / np.float32(LEVELS)
    return np.round(weight / scale[:, None]).astype(np.int8), scale


def side_by_side(
    sequences: Sequence[Sequence[int] | NDArray[Any]], filler: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lays sequences of ids below one another.

    Args:
        sequences: At least one sequence of at least one id.
        filler: What fills the room behind the shorter ones.

    Returns:
        ids [B, S], and the lengths [B].

    Raises:
        ValueError: There is no sequence, or one is empty.
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    if not len(lengths) or not lengths.all():
        raise ValueError(
            f"sequences are of {lengths.tolist()} tokens, wanted one sequence or more, each of at least one token."
        )
    ids = np.full((len(lengths), lengths.max()), filler, dtype=np.int64)
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = np.concatenate(
        [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
    )
    return ids, lengths
