"""Padding and masks: every token where it was, nothing but padding elsewhere."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from translator.batch import PaddedIds, pad, pair

PAD, BOS, EOS = 0, 2, 3
sequences = st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=9), min_size=1, max_size=6)
pad_ids = st.integers(-1, 99)


@given(sequences, pad_ids)
def test_what_is_padded_can_be_read_back_row_by_row(rows: list[list[int]], pad_id: int) -> None:
    ids, mask, lengths = pad(rows, pad_id)
    assert ids.shape == mask.shape == (len(rows), max(map(len, rows)))
    assert lengths.tolist() == [len(row) for row in rows]
    assert [row[: len(own)].tolist() for row, own in zip(ids, rows, strict=True)] == rows
    assert all((row[len(own) :] == pad_id).all() for row, own in zip(ids, rows, strict=True))


@given(sequences, pad_ids)
def test_the_mask_is_true_for_the_real_tokens_first_and_false_after(rows: list[list[int]], pad_id: int) -> None:
    _, mask, lengths = pad(rows, pad_id)
    width = mask.shape[1]
    assert mask.tolist() == [[True] * length + [False] * (width - length) for length in lengths.tolist()]


def test_types_are_what_embeddings_and_masks_want() -> None:
    ids, mask, lengths = pad([[5, 6], [7]], PAD)
    assert (ids.dtype, mask.dtype, lengths.dtype) == (torch.int64, torch.bool, torch.int64)


def test_arrays_of_small_integers_are_taken_too() -> None:
    batch = pad([np.array([5, 65535], dtype=np.uint16), np.array([7], dtype=np.int32)], PAD)
    assert batch.ids.tolist() == [[5, 65535], [7, PAD]]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="no sequence"),
        pytest.param([[]], id="one empty sequence"),
        pytest.param([[5], []], id="an empty one among others"),
    ],
)
def test_nothing_cannot_be_padded(rows: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="wanted one sequence or more, each of at least one token"):
        pad(rows, PAD)


@given(st.lists(st.lists(st.integers(4, 99), max_size=7), min_size=1, max_size=5))
def test_the_decoder_reads_bos_and_the_target_and_should_say_the_target_and_eos(targets: list[list[int]]) -> None:
    batch = pair([[9, EOS]] * len(targets), [[*target, EOS] for target in targets], pad_id=PAD, bos_id=BOS)
    expected_input = pad([[BOS, *target] for target in targets], PAD)
    expected_output = pad([[*target, EOS] for target in targets], PAD)
    for found, expected in ((batch.target_input, expected_input), (batch.target_output, expected_output)):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_source_and_target_may_differ_in_length() -> None:
    batch = pair([[4, 5, 6, EOS], [4, EOS]], [[7, EOS], [8, 9, EOS]], pad_id=PAD, bos_id=BOS)
    assert batch.source.ids.tolist() == [[4, 5, 6, EOS], [4, EOS, PAD, PAD]]
    assert batch.target_input.ids.tolist() == [[BOS, 7, PAD], [BOS, 8, 9]]


def test_moving_to_a_device_moves_every_part() -> None:
    batch = pair([[4, EOS]], [[7, EOS]], pad_id=PAD, bos_id=BOS).to("meta")
    parts: list[PaddedIds] = [*batch]
    assert {tensor.device.type for part in parts for tensor in part} == {"meta"}
