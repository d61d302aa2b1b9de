"""Arrays beside PyTorch's, which has bfloat16."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from translator.arrays import LINE, aligned, narrowed, side_by_side, widened

numbers = st.lists(st.floats(width=32), min_size=1, max_size=20)


@given(numbers)
def test_numbers_are_rounded_as_pytorch_rounds_them(values: list[float]) -> None:
    given_numbers = np.array(values, dtype=np.float32)
    found, wanted = widened(narrowed(given_numbers)), torch.from_numpy(given_numbers).bfloat16().float().numpy()
    np.testing.assert_array_equal(found, wanted)


def test_every_number_in_bfloat16_stays_what_it_is() -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    sound = ~np.isnan(widened(every))
    assert np.array_equal(narrowed(widened(every))[sound], every[sound])


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 7)])
@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.float32])
def test_room_begins_with_a_line(shape: tuple[int, ...], kind: type) -> None:
    for _ in range(5):
        room = aligned(shape, kind)
        assert (room.shape, room.dtype, room.ctypes.data % LINE) == (shape, np.dtype(kind), 0)
        room[...] = 1  # all of it is there


@pytest.mark.parametrize("sequences", [[], [[1], []]])
def test_nothing_is_no_sequence(sequences: list[list[int]]) -> None:
    with pytest.raises(
        ValueError, match=r"sequences are of \[.*\] tokens, wanted one sequence or more, each of at least one"
    ):
        side_by_side(sequences, 0)


def test_shorter_sequences_are_filled_up() -> None:
    ids, lengths = side_by_side([[7, 8, 9], [5]], 0)
    assert (ids.tolist(), lengths.tolist()) == ([[7, 8, 9], [5, 0, 0]], [3, 1])
