"""The model as it is packed for the kernels, each part beside the weights that it was packed from."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.translator.conftest import make_model, needs_kernels, weights_of
from tests.translator.kernel_calls import multiply
from translator.arrays import LEVELS, widened
from translator.batch import PaddedIds
from translator.kernel_model import KernelModel
from translator.kernels import Int8Product
from translator.lstm_cell import parameters_of
from translator.model import TranslationModel

pytestmark = needs_kernels

SHAPES = [(1, 1, 1), (2, 2, 3), (3, 3, 2)]  # heads, encoder layers, decoder layers


def packed(model: TranslationModel) -> KernelModel:
    return KernelModel(weights_of(model), pad_id=0, heads=model.decoder.attention.heads)


def assert_packs(product: Int8Product, weight: Tensor, bias: Tensor | None, bound: float) -> None:
    """Rows as large as they may become come out within half a level of each factor."""
    out, width = weight.shape
    rows = (torch.rand(40, width, generator=torch.Generator().manual_seed(1)) * 2 - 1) * bound
    rows[0], rows[1] = bound, -bound
    exact = rows.double() @ weight.double().t() + (0 if bias is None else bias.double())
    of_rows = bound / LEVELS / 2 * weight.abs().sum(dim=1)
    of_weights = weight.abs().amax(dim=1) / LEVELS / 2 * (rows.abs().sum(dim=1, keepdim=True) + width * bound / LEVELS)
    found = multiply(product, rows)
    assert found.shape == (40, out)
    assert ((found - exact).abs() <= of_rows + of_weights + 1e-5).all()


@pytest.mark.parametrize(("heads", "encoder_layers", "decoder_layers"), SHAPES)
@pytest.mark.parametrize("lexical_shortcut", [False, True])
def test_every_product_is_that_of_its_weights_for_rows_as_large_as_they_become(
    heads: int, encoder_layers: int, decoder_layers: int, lexical_shortcut: bool
) -> None:
    model = make_model(
        4, weight=3.0, attention_heads=heads, encoder_layers=encoder_layers, decoder_layers=decoder_layers,
        lexical_shortcut=lexical_shortcut,
    ).requires_grad_(False)  # fmt: skip
    made, decoder, attention = packed(model), model.decoder, model.decoder.attention
    first, *later = map(parameters_of, decoder.layers)
    width, memory = made.width, len(attention.key.weight)
    assert_packs(made.first, first.recurrent, None, 1)
    assert_packs(made.query, attention.query.weight * attention.scale, None, 1)
    for depth, (product, layer) in enumerate(zip(made.later, later, strict=True), start=1):
        both = torch.cat([layer.inputs[:, :width], layer.recurrent], dim=1)
        assert_packs(product, both, layer.bias, depth)  # so many layers of at most 1 are added up
    assert_packs(made.readout, decoder.readout.weight[:, :width], decoder.readout.bias, decoder_layers)
    assert_packs(made.output, model.embedding.weight, model.output_bias, 1)
    assert_packs(made._bridge, decoder.bridge.weight, decoder.bridge.bias, 1)
    assert_packs(made._keys, attention.key.weight, None, encoder_layers)
    to_context = torch.cat(
        [*(layer.inputs[:, width:] for layer in later), decoder.readout.weight[:, width:][:, :memory]]
    )
    for product, part in zip(made._values, to_context.chunk(heads, dim=1), strict=True):
        assert_packs(product, part, None, encoder_layers)
    assert (made._lexical is not None) == lexical_shortcut
    if made._lexical is not None:
        longest = float((model.embedding.weight * model.embedding_scale).abs().max())
        assert_packs(made._lexical, decoder.readout.weight[:, width + memory :], None, longest)


def test_what_is_looked_up_is_rounded_and_no_more() -> None:
    model = make_model(4, weight=3.0).requires_grad_(False)
    made, first = packed(model), parameters_of(model.decoder.layers[0])
    embeddings = model.embedding.weight * model.embedding_scale
    gates = nn.functional.linear(embeddings, first.inputs, first.bias)
    np.testing.assert_allclose(widened(made.embeddings), embeddings.numpy(), rtol=2**-8)
    np.testing.assert_allclose(widened(made.first_gates), gates.numpy(), rtol=2**-8, atol=1e-4)


@pytest.mark.parametrize(("heads", "encoder_layers", "decoder_layers"), SHAPES)
def test_what_is_read_of_sentences_is_what_the_model_reads(
    heads: int, encoder_layers: int, decoder_layers: int
) -> None:
    """Keys, and the first state, in int8 beside the model's own; a product sums about twenty errors of a percent."""
    model = make_model(
        4, attention_heads=heads, encoder_layers=encoder_layers, decoder_layers=decoder_layers
    ).requires_grad_(False)
    sources = [[9, 5, 21, 7, 3], [8, 3], [4, 4, 17, 3]]
    read = packed(model).read(sources)
    for row, source in enumerate(sources):
        ids, mask = torch.tensor([source]), torch.ones(1, len(source), dtype=torch.bool)
        encoded = model.encode(PaddedIds(ids, mask, torch.tensor([len(source)])))
        np.testing.assert_allclose(read.keys[row, : len(source)], encoded.memory.keys[0].numpy(), atol=0.05)
        np.testing.assert_allclose(read.hidden[:, row], encoded.state.hidden[:, 0].numpy(), atol=0.05)
        np.testing.assert_allclose(read.cell[:, row], encoded.state.cell[:, 0].numpy(), atol=0.05)


@pytest.mark.parametrize("sources", [[[7, 24]], [[-1, 7]]])
def test_ids_beyond_the_vocabulary_are_refused(sources: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"ids are -?\d+ to \d+, wanted 0 to 23"):
        packed(make_model(1)).read(sources)
