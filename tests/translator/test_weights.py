"""Stored weights: float32 bit by bit, bfloat16 and int8 within the error that can be derived."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from translator.weights import SCALE, StoredType, pack_weights, unpack_weights

TINY = torch.finfo(torch.float32).tiny  # rows of smaller weights than this share its step
sizes = st.integers(1, 6)


@st.composite
def matrices(draw: st.DrawFn) -> Tensor:
    """Of unlike rows: each has a magnitude of its own, and some are zero."""
    rows, columns, seed = draw(sizes), draw(sizes), draw(st.integers(0, 10**6))
    magnitudes = draw(st.lists(st.sampled_from([0.0, 1e-40, 1e-30, 1e-3, 1.0, 1e6]), min_size=rows, max_size=rows))
    random = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=random) * torch.tensor(magnitudes)[:, None]


def round_trip(weight: Tensor, stored_type: StoredType) -> Tensor:
    unpacked = unpack_weights(pack_weights({"layer.weight": weight}, stored_type))
    assert list(unpacked) == ["layer.weight"]
    assert unpacked["layer.weight"].dtype == torch.float32
    return unpacked["layer.weight"]


@given(matrices())
def test_float32_comes_back_bit_by_bit(weight: Tensor) -> None:
    assert torch.equal(round_trip(weight, "float32").view(torch.int32), weight.view(torch.int32))


@given(matrices())
def test_bfloat16_is_off_by_at_most_a_256th_of_each_weight(weight: Tensor) -> None:
    # Eight significant bits, rounded to nearest: half of the last one is 2^-8 of the weight at most. Below the least
    # normal number bits are lost to it; there the step is 2^-133.
    error = (round_trip(weight, "bfloat16") - weight).abs()
    assert (error <= weight.abs() * 2**-8 + 2.0**-134).all()


@given(matrices())
def test_int8_is_off_by_at_most_half_a_step_of_its_row(weight: Tensor) -> None:
    step = weight.abs().amax(dim=1, keepdim=True).clamp(min=TINY).double() / 127
    error = (round_trip(weight, "int8").double() - weight).abs()
    # The products are float32: 127 steps may be off by a few units in the last place, of which the least is 2^-149.
    assert (error <= step * (0.5 + 127 * 2**-22) + 127 * 2.0**-149).all()


@given(matrices())
def test_int8_uses_its_whole_range_and_not_minus_128(weight: Tensor) -> None:
    packed = pack_weights({"w": weight}, "int8")
    steps = packed["w"].int()
    assert packed["w"].dtype == torch.int8
    assert packed["w" + SCALE].shape == (len(weight),)
    for row, original in zip(steps, weight, strict=True):
        assert row.abs().max() == (127 if original.abs().max() >= TINY else row.abs().max())
        assert row.min() >= -127


def test_int8_keeps_what_is_a_whole_number_of_steps() -> None:
    weight = torch.tensor([[127.0, -127.0, 64.0, 0.0], [0.0, -254.0, 2.0, 100.0]])
    assert torch.equal(round_trip(weight, "int8"), weight)


@pytest.mark.parametrize("stored_type", ["float32", "bfloat16", "int8"])
def test_vectors_stay_float32(stored_type: StoredType) -> None:
    bias = torch.tensor([1 / 3, 1e-30, -1e9])
    packed = pack_weights({"bias": bias}, stored_type)
    assert list(packed) == ["bias"]
    assert torch.equal(packed["bias"], bias)


@pytest.mark.parametrize(("stored_type", "size"), [("float32", 4), ("bfloat16", 2), ("int8", 1)])
def test_a_matrix_takes_the_bytes_of_its_type(stored_type: StoredType, size: int) -> None:
    packed = pack_weights({"w": torch.randn(10, 100)}, stored_type)["w"]
    assert packed.element_size() * packed.numel() == 1000 * size


@pytest.mark.parametrize("stored_type", ["float32", "bfloat16", "int8"])
def test_what_is_packed_can_go_into_a_file(stored_type: StoredType) -> None:
    parameter = torch.nn.Parameter(torch.randn(4, 6).t().double())
    packed = pack_weights({"w": parameter}, stored_type)
    assert all(tensor.is_contiguous() and not tensor.requires_grad for tensor in packed.values())
