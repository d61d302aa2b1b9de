"""The decoder: many steps at once equal one at a time, nothing looks ahead, and no attention is fed back."""

import pytest
import torch
from torch import Tensor

from tests.translator.conftest import make_model
from translator.attention import Memory
from translator.batch import pad
from translator.decoder import Decoder
from translator.model import EncodedSource, TranslationModel

SOURCES = [[5, 9, 23, 4], [7, 3], [8, 8, 8]]
TARGETS = torch.tensor([[2, 4, 5, 6, 7, 8], [2, 9, 9, 9, 1, 0], [2, 23, 22, 21, 20, 19]])


@pytest.fixture(params=[1, 2, 3], ids=["one layer", "two layers", "three layers"])
def model(request: pytest.FixtureRequest) -> TranslationModel:
    return make_model(11, decoder_layers=request.param).requires_grad_(False)


@pytest.fixture
def encoded(model: TranslationModel) -> EncodedSource:
    return model.encode(pad(SOURCES, 0))


def test_one_step_after_another_equals_all_at_once(model: TranslationModel, encoded: EncodedSource) -> None:
    whole = model.decode(TARGETS, encoded.state, encoded.memory)
    state = encoded.state
    for t in range(TARGETS.shape[1]):
        step = model.decode(TARGETS[:, t : t + 1], state, encoded.memory)
        state = step.state
        torch.testing.assert_close(step.readout[:, 0], whole.readout[:, t], atol=1e-6, rtol=0)
        torch.testing.assert_close(step.attention_weights[:, 0], whole.attention_weights[:, t], atol=1e-6, rtol=0)
    for found, wanted in zip(state, whole.state, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("changed", [1, 3, 5])
def test_a_later_token_changes_nothing_before_it(model: TranslationModel, encoded: EncodedSource, changed: int) -> None:
    other = TARGETS.clone()
    other[:, changed] = 12
    one = model.decode(TARGETS, encoded.state, encoded.memory)
    two = model.decode(other, encoded.state, encoded.memory)
    assert torch.equal(one.readout[:, :changed], two.readout[:, :changed])
    assert torch.equal(one.attention_weights[:, :changed], two.attention_weights[:, :changed])
    assert (one.readout[:, changed] != two.readout[:, changed]).any(dim=-1).all()


def test_what_was_found_in_the_source_does_not_change_where_to_look_next(
    model: TranslationModel, encoded: EncodedSource
) -> None:
    keys, values, embedded, mask = encoded.memory
    one = model.decode(TARGETS, encoded.state, encoded.memory)
    two = model.decode(TARGETS, encoded.state, Memory(keys, values + mask[..., None], embedded, mask))
    assert torch.equal(one.attention_weights, two.attention_weights)
    assert not torch.allclose(one.readout, two.readout)


def test_attention_already_knows_the_token_just_read(model: TranslationModel, encoded: EncodedSource) -> None:
    one = model.decode(torch.full((3, 1), 4), encoded.state, encoded.memory)
    two = model.decode(torch.full((3, 1), 5), encoded.state, encoded.memory)
    assert (one.attention_weights != two.attention_weights).any(dim=-1).all()


def test_the_bridge_gives_every_layer_a_hidden_and_a_cell(model: TranslationModel) -> None:
    decoder, summary = model.decoder, torch.randn(3, 12)
    hidden, cell = decoder.bridge.initial_state(summary)
    layers = len(decoder.layers)
    assert hidden.shape == cell.shape == (layers, 3, 10)
    bridged = torch.tanh(summary @ decoder.bridge.weight.t() + decoder.bridge.bias)
    for layer, parts in enumerate(bridged.split(20, dim=1)):
        torch.testing.assert_close(torch.cat([hidden[layer], cell[layer]], dim=1), parts)


def test_a_layers_state_is_what_the_fused_kernel_takes(encoded: EncodedSource) -> None:
    for layer in range(len(encoded.state.hidden)):
        hidden, cell = encoded.state.layer(layer)
        assert hidden.shape == cell.shape == (1, 3, 10)
        assert hidden.is_contiguous() and cell.is_contiguous()
        assert torch.equal(hidden[0], encoded.state.hidden[layer])
        assert torch.equal(cell[0], encoded.state.cell[layer])


def test_dropout_is_at_work_while_training_only() -> None:
    torch.manual_seed(0)
    decoder = Decoder(input_size=8, hidden_size=10, memory_size=12, layers=2, heads=1, dropout=0.5)
    embedded, summary = torch.randn(1, 4, 8), torch.randn(1, 12)
    memory = decoder.attention.remember(torch.randn(1, 3, 12), torch.randn(1, 3, 8), torch.ones(1, 3, dtype=torch.bool))

    def readout() -> Tensor:
        said: Tensor = decoder(embedded, decoder.bridge.initial_state(summary), memory).readout
        return said

    assert not torch.equal(readout(), readout())
    dropped = (readout() == 0)[0]
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))  # the same units at every step
    assert dropped.any()
    decoder.eval()
    assert torch.equal(readout(), readout())
    assert (readout() != 0).all()
