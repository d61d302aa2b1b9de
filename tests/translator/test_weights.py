"""Stored weights: float32 bit by bit, bfloat16 and int8 within the error that can be derived."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from translator.arrays import widened
from translator.model import TranslationModel
from translator.weights import (
    SCALE,
    StoredType,
    expected_shapes,
    pack_weights,
    read_weights,
    unpack_weights,
    write_weights,
)

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
    unpacked = unpack_weights(pack_weights({"layer.weight": weight.numpy()}, stored_type))
    assert list(unpacked) == ["layer.weight"]
    assert unpacked["layer.weight"].dtype == np.float32
    return torch.from_numpy(unpacked["layer.weight"])


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
    packed = pack_weights({"w": weight.numpy()}, "int8")
    steps = torch.from_numpy(packed["w"]).int()
    assert packed["w"].dtype == np.int8
    assert packed["w" + SCALE].shape == (len(weight),)
    for row, original in zip(steps, weight, strict=True):
        assert row.abs().max() == (127 if original.abs().max() >= TINY else row.abs().max())
        assert row.min() >= -127


def test_int8_keeps_what_is_a_whole_number_of_steps() -> None:
    weight = torch.tensor([[127.0, -127.0, 64.0, 0.0], [0.0, -254.0, 2.0, 100.0]])
    assert torch.equal(round_trip(weight, "int8"), weight)


@pytest.mark.parametrize("stored_type", ["float32", "bfloat16", "int8"])
def test_vectors_stay_float32(stored_type: StoredType) -> None:
    bias = np.array([1 / 3, 1e-30, -1e9], dtype=np.float32)
    packed = pack_weights({"bias": bias}, stored_type)
    assert list(packed) == ["bias"]
    assert np.array_equal(packed["bias"], bias)


@pytest.mark.parametrize(("stored_type", "size"), [("float32", 4), ("bfloat16", 2), ("int8", 1)])
def test_a_matrix_takes_the_bytes_of_its_type(stored_type: StoredType, size: int) -> None:
    assert pack_weights({"w": np.ones((10, 100), dtype=np.float32)}, stored_type)["w"].nbytes == 1000 * size


@pytest.mark.parametrize("stored_type", ["float32", "bfloat16", "int8"])
def test_what_is_written_is_read_here_and_by_safetensors_itself(tmp_path: Path, stored_type: StoredType) -> None:
    weights = {"w": torch.randn(6, 4).t().numpy(), "b": np.arange(3, dtype=np.float32)}
    packed = pack_weights(weights, stored_type)
    write_weights(packed, tmp_path / "file")
    found = read_weights((tmp_path / "file").read_bytes())
    assert found.keys() == packed.keys()
    theirs = load_file(tmp_path / "file")
    for name, array in packed.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
        as_float = theirs[name].float().numpy()
        assert np.array_equal(as_float, widened(array) if array.dtype == np.uint16 else array.astype(np.float32))


@pytest.mark.parametrize("lexical_shortcut", [False, True])
@pytest.mark.parametrize(("encoder_layers", "decoder_layers"), [(1, 1), (2, 3)])
def test_the_shapes_that_are_expected_are_those_of_the_model(
    lexical_shortcut: bool, encoder_layers: int, decoder_layers: int
) -> None:
    sizes: dict[str, Any] = {
        "vocab_size": 24, "embedding_size": 8, "encoder_layers": encoder_layers, "encoder_size": 6,
        "decoder_layers": decoder_layers, "decoder_size": 10, "lexical_shortcut": lexical_shortcut,
    }  # fmt: skip
    model = TranslationModel(**sizes, attention_heads=2, dropout=0.0)
    assert expected_shapes(**sizes) == {name: tuple(weight.shape) for name, weight in model.state_dict().items()}


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        ({"w": np.ones((2, 3), np.int8)}, "w is stored as whole numbers without w.row_scale"),
        ({"w.row_scale": np.ones(2, np.float32)}, "w.row_scale has no weights, wanted a number for each row"),
        ({"w": np.ones((2, 3), np.int8), "w.row_scale": np.ones(1, np.float32)}, r"\(1,\) for weights of \(2, 3\)"),
        ({"w": np.ones((2, 3), np.int8), "w.row_scale": np.float32(1)}, r"\(\) for weights of \(2, 3\)"),
    ],
)
def test_a_scale_is_a_number_for_each_row(packed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        unpack_weights(packed)


def test_numbers_of_another_kind_are_named(tmp_path: Path) -> None:
    save_file({"w": torch.ones(2, dtype=torch.float16)}, tmp_path / "file")
    with pytest.raises(ValueError, match="w is stored as F16, wanted F32, I8, BF16"):
        read_weights((tmp_path / "file").read_bytes())
