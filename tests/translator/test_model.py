"""The whole model: equal to the plain one, blind to padding and neighbours, and every weight is taught."""

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.translator import numpy_model
from tests.translator.conftest import TINY, make_model
from translator.batch import pad, pair
from translator.config import ModelConfig
from translator.model import TranslationModel

PAD, BOS, EOS = 0, 2, 3
MODEL = make_model(5).requires_grad_(False)
ids = st.lists(st.integers(4, 23), min_size=1, max_size=6)
pairs = st.lists(st.tuples(ids, ids), min_size=1, max_size=5)
Pairs = list[tuple[list[int], list[int]]]


def log_probs(model: TranslationModel, pairs: Pairs, *, pad_id: int = PAD) -> tuple[torch.Tensor, torch.Tensor]:
    """Teacher-forced: log-probabilities [B, T, V] and attention [B, T, S]."""
    source, target = (pad(side, pad_id) for side in zip(*pairs, strict=True))
    output = model(source, target)
    return model.logits(output.readout).log_softmax(dim=-1), output.attention_weights


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param({}, id="two encoder and three decoder layers, two heads"),
        pytest.param({"encoder_layers": 1, "decoder_layers": 1, "attention_heads": 1}, id="one of each"),
        pytest.param({"encoder_layers": 3, "decoder_layers": 2, "attention_heads": 4}, id="deep encoder, four heads"),
        pytest.param({"lexical_shortcut": True}, id="with the lexical shortcut"),
    ],
)
def test_teacher_forcing_says_what_the_plain_model_says(sizes: dict[str, int]) -> None:
    model = make_model(2, **sizes).requires_grad_(False)
    source, target = [9, 5, 21, 7, EOS], [BOS, 4, 19, 19, 8, 6]
    found, attention = log_probs(model, [(source, target)])
    expected, expected_attention = numpy_model.decode(model, source, target)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(attention[0].numpy(), expected_attention, atol=1e-5)


@settings(max_examples=20)
@given(pairs, st.randoms(use_true_random=False))
def test_a_pair_alone_equals_itself_in_any_batch_and_order(pairs: Pairs, random: Random) -> None:
    random.shuffle(pairs)
    together, attention = log_probs(MODEL, pairs)
    for row, (source, target) in enumerate(pairs):
        alone, own_attention = log_probs(MODEL, [(source, target)])
        torch.testing.assert_close(together[row, : len(target)], alone[0], atol=1e-5, rtol=0)
        own = attention[row, : len(target), : len(source)]
        torch.testing.assert_close(own, own_attention[0], atol=1e-6, rtol=0)


@settings(max_examples=20)
@given(pairs, st.integers(0, 23))
def test_which_id_padding_has_changes_nothing(pairs: Pairs, pad_id: int) -> None:
    real = pad([target for _, target in pairs], PAD).mask
    one, other = log_probs(MODEL, pairs), log_probs(MODEL, pairs, pad_id=pad_id)
    for found, wanted in zip(other, one, strict=True):
        assert torch.equal(found[real], wanted[real])


@settings(max_examples=20)
@given(pairs)
def test_attention_is_zero_on_padding_and_sums_to_one(pairs: Pairs) -> None:
    _, attention = log_probs(MODEL, pairs)
    mask = pad([source for source, _ in pairs], PAD).mask
    assert (attention.transpose(1, 2)[~mask] == 0).all()
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(attention.shape[:2]))


@pytest.mark.parametrize("training", [True, False], ids=["with dropout", "without"])
def test_gradient_reaches_every_parameter(training: bool) -> None:
    model = make_model(3).train(training)
    batch = pair([[9, 5, 7, EOS], [8, EOS]], [[4, 5, 6, EOS], [19, 20, EOS]], pad_id=PAD, bos_id=BOS)
    torch.manual_seed(0)
    logits = model.logits(model(batch.source, batch.target_input).readout)
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.target_output.ids.flatten()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_gradient_is_the_slope_of_the_loss() -> None:
    """Central differences in float64, for a few numbers of every parameter."""
    model = make_model(4).double()
    source, target = pad([[9, 5, EOS]], PAD), pad([[BOS, 4, 6]], PAD)

    def loss() -> torch.Tensor:
        # `initial_state` and the attention scores pass through float32, which bounds the precision.
        return -model.logits(model(source, target).readout.double()).log_softmax(dim=-1)[0, :, 5].sum()

    loss().backward()
    step = 1e-2
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            flat = parameter.view(-1)
            place = int(parameter.grad.abs().argmax())
            flat[place] += step
            above = loss()
            flat[place] -= 2 * step
            slope = (above - loss()) / (2 * step)
            flat[place] += step
            torch.testing.assert_close(slope, parameter.grad.view(-1)[place], rtol=0.02, atol=1e-3, msg=name)


def test_source_target_and_softmax_share_one_table() -> None:
    v, e, h, d = 24, 8, 10, 12  # vocabulary, embedding, decoder, encoder outputs

    def lstm(inputs: int, hidden: int) -> int:
        return 4 * hidden * (inputs + hidden + 2)

    encoder = 2 * lstm(e, d // 2) + 2 * lstm(d, d // 2)
    decoder = lstm(e, h) + 2 * lstm(h + d, h)
    bridge, attention, readout = (d + 1) * 3 * 2 * h, h * d + d * d, (h + d + 1) * e
    assert sum(parameter.numel() for parameter in MODEL.parameters()) == (
        v * e + v + encoder + decoder + bridge + attention + readout
    )


def test_logits_are_products_with_the_table_and_a_bias() -> None:
    readout = torch.randn(2, 3, 8)
    expected = torch.einsum("bte,ve->btv", readout, MODEL.embedding.weight) + MODEL.output_bias
    torch.testing.assert_close(MODEL.logits(readout), expected)


def test_fresh_embeddings_have_unit_variance_and_rows_of_length_one() -> None:
    torch.manual_seed(0)
    model = TranslationModel.from_config(ModelConfig(vocab_size=2000, embedding_size=64, encoder_size=2))
    assert model.embed(torch.arange(2000)).var().item() == pytest.approx(1, abs=0.03)
    assert model.embedding.weight.norm(dim=1).mean().item() == pytest.approx(1, abs=0.03)


def test_a_config_says_all_sizes_of_a_model() -> None:
    model = TranslationModel.from_config(ModelConfig(**TINY))  # type: ignore[arg-type]
    same = TranslationModel(**TINY)  # type: ignore[arg-type]
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} == {
        name: tensor.shape for name, tensor in same.state_dict().items()
    }
    assert model.decoder.attention.heads == TINY["attention_heads"]
    assert model.encoder.dropout.probability == model.decoder.dropout.probability == TINY["dropout"]
