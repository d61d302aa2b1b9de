"""The LSTM layer: the fused kernel against the equations of the cell, and recurrent weights that are dropped."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.translator import numpy_model
from tests.translator.conftest import make_model
from translator.compute_type import has_bfloat16
from translator.dropout import dropout_mask
from translator.lstm import LstmLayer, drop_recurrent_weights
from translator.packed_lstm import PackedLstm, can_pack

CPU = torch.device("cpu")


@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(0, 10**6))
def test_the_fused_lstm_is_the_cell_of_the_equations(inputs: int, hidden: int, steps: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = LstmLayer(inputs, hidden)
    nn.init.normal_(layer.get_parameter("bias_hh_l0"))  # starts at 0, but is learnt like the other
    sequence, state, cell = torch.randn(steps, inputs), torch.randn(hidden), torch.randn(hidden)
    outputs, (last_hidden, last_cell) = layer(sequence[None], (state[None, None], cell[None, None]))
    expected = numpy_model.Cell(layer).read(*map(numpy_model.array, (sequence, state, cell)))
    for found, wanted in zip((outputs[0], last_hidden[0, 0], last_cell[0, 0]), expected, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), wanted, atol=1e-5)


@pytest.mark.skipif(not can_pack(CPU), reason="this PyTorch cannot lay out the weights of a layer")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(1, 12), st.integers(0, 10**6))
def test_a_packed_layer_reads_as_the_layer_does(
    dtype: torch.dtype, inputs: int, hidden: int, rows: int, steps: int, seed: int
) -> None:
    if dtype == torch.bfloat16 and not has_bfloat16("cpu"):
        pytest.skip("this processor does not multiply bfloat16")
    torch.manual_seed(seed)
    layer = LstmLayer(inputs, hidden).eval().to(dtype)
    nn.init.normal_(layer.get_parameter("bias_hh_l0"))
    sequences = torch.randn(rows, steps, inputs, dtype=dtype)
    with torch.inference_mode():
        outputs, (last_hidden, last_cell) = PackedLstm(layer, dtype)(sequences)
        expected, (expected_hidden, expected_cell) = layer(sequences)
    assert torch.equal(outputs, expected)
    assert torch.equal(last_hidden, expected_hidden)
    assert torch.equal(last_cell, expected_cell)


def test_a_fresh_lstm_remembers_by_its_forget_gate() -> None:
    layer = LstmLayer(3, 4)
    input_bias, hidden_bias = layer.get_parameter("bias_ih_l0"), layer.get_parameter("bias_hh_l0")
    assert input_bias.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8  # input, forget, candidate, output
    assert not hidden_bias.any()
    # Without input and recurrence the candidate is tanh(0) = 0, so each step multiplies the memory by sigmoid(1).
    with torch.no_grad():
        for weight in (layer.get_parameter("weight_ih_l0"), layer.get_parameter("weight_hh_l0")):
            weight.zero_()
        _, (_, cell) = layer(torch.randn(1, 7, 3), (torch.zeros(1, 1, 4), torch.ones(1, 1, 4)))
    torch.testing.assert_close(cell, torch.full((1, 1, 4), (1 / (1 + math.exp(-1))) ** 7))


def test_recurrent_weights_start_as_rotations() -> None:
    for gate in LstmLayer(3, 5).get_parameter("weight_hh_l0").detach().split(5):
        torch.testing.assert_close(gate @ gate.t(), torch.eye(5), atol=1e-5, rtol=0)


def test_the_constant_error_carousel_carries_memory_and_error_through_a_thousand_steps_unchanged() -> None:
    layer = LstmLayer(2, 3)
    with torch.no_grad():  # the forget gate wide open, the input gate shut: sigmoid(100) is 1 in float32
        layer.get_parameter("bias_ih_l0")[:6] = torch.tensor([-100.0] * 3 + [100.0] * 3)
    memory = torch.tensor([[[0.3, -1.2, 2.5]]], requires_grad=True)
    _, (_, cell) = layer(torch.randn(1, 1000, 2), (torch.zeros(1, 1, 3), memory))
    cell.sum().backward()
    assert torch.equal(cell, memory)
    assert memory.grad is not None
    assert torch.equal(memory.grad, torch.ones_like(memory))


def dropping(probability: float) -> LstmLayer:
    torch.manual_seed(5)
    layer = LstmLayer(3, 16)
    drop_recurrent_weights(layer, probability)
    return layer


def test_a_dropped_recurrent_weight_is_gone_for_the_whole_sequence_and_the_others_grow() -> None:
    layer, sequence = dropping(0.5), torch.randn(2, 6, 3)
    torch.manual_seed(8)
    outputs, (hidden, cell) = layer(sequence)
    torch.manual_seed(8)
    whole = layer.get_parameter("weight_hh_l0").detach().clone()
    kept = whole * dropout_mask(tuple(whole.shape), 0.5, device=whole.device)
    assert 0.4 < (kept == 0).float().mean() < 0.6
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0").copy_(kept)
    expected = layer.eval()(sequence)
    torch.testing.assert_close(outputs, expected[0])
    torch.testing.assert_close((hidden, cell), expected[1])


def test_what_is_dropped_is_drawn_anew_for_every_batch_and_gets_no_gradient() -> None:
    layer, sequence = dropping(0.5), torch.randn(1, 4, 3)
    first, second = layer(sequence)[0], layer(sequence)[0]
    assert not torch.equal(first, second)
    first.sum().backward()
    gradient = layer.get_parameter("weight_hh_l0").grad
    assert gradient is not None
    assert 0.4 < (gradient == 0).float().mean() < 0.6


@pytest.mark.parametrize("probability", [0.0, 0.7])
def test_nothing_is_dropped_when_it_is_off_or_when_the_model_only_translates(probability: float) -> None:
    layer, sequence = dropping(probability), torch.randn(2, 4, 3)
    plain = nn.LSTM(3, 16, batch_first=True)
    plain.load_state_dict(layer.state_dict())
    assert torch.equal(layer.train(probability == 0.0)(sequence)[0], plain(sequence)[0])


def test_every_layer_of_a_model_is_told() -> None:
    model = make_model(1, encoder_layers=2)
    drop_recurrent_weights(model, 0.25)
    told = [module.weight_dropout for module in model.modules() if isinstance(module, LstmLayer)]
    assert told == [0.25] * len(told)
    assert len(told) == 4 + len(model.decoder.layers)
