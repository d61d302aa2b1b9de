"""A larger model from a smaller one: it says the same at first, and every new weight can be learned."""

from dataclasses import replace

import pytest
import torch

from tests.translator.conftest import TINY, make_model
from training.growth import grow_model
from translator.batch import pad
from translator.config import ModelConfig
from translator.errors import ConfigError
from translator.model import TranslationModel

SMALL = ModelConfig(**TINY)  # type: ignore[arg-type]
SOURCES, TARGETS = [[9, 5, 21, 7, 3], [8, 3]], [[2, 4, 19, 19], [2, 8, 6, 5]]


def grown(model: TranslationModel, old: ModelConfig, new: ModelConfig) -> TranslationModel:
    larger = TranslationModel.from_config(new).eval()
    larger.load_state_dict(grow_model(model.state_dict(), old, new, seed=1))
    return larger


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, {"decoder_size": 17}, id="wider"),
        pytest.param({}, {"lexical_shortcut": True}, id="with a shortcut"),
        pytest.param({}, {"decoder_size": 17, "lexical_shortcut": True}, id="both"),
        pytest.param({"lexical_shortcut": True}, {"decoder_size": 17}, id="wider, the shortcut was there"),
        pytest.param({}, {}, id="as it was"),
    ],
)
def test_it_says_what_the_smaller_one_says(layers: int, before: dict[str, int], after: dict[str, int]) -> None:
    model = make_model(3, decoder_layers=layers, **before)
    old = replace(SMALL, decoder_layers=layers, **before)  # type: ignore[arg-type]
    larger = grown(model, old, replace(old, **after))  # type: ignore[arg-type]
    source, target = pad(SOURCES, 0), pad(TARGETS, 0)
    one, other = model(source, target), larger(source, target)
    torch.testing.assert_close(model.logits(one.readout), larger.logits(other.readout))
    torch.testing.assert_close(one.attention_weights, other.attention_weights)


def test_new_units_learn() -> None:
    larger = grown(make_model(3), SMALL, replace(SMALL, decoder_size=17, lexical_shortcut=True))
    output = larger(pad(SOURCES, 0), pad(TARGETS, 0))
    larger.logits(output.readout).log_softmax(-1)[..., 5].sum().backward()
    readout = larger.decoder.readout.weight
    assert readout.grad is not None
    new = [*range(10, 17), *range(17 + 12, 17 + 12 + 8)]  # units, and the embeddings behind the context
    assert (readout[:, new] == 0).all()
    assert (readout.grad[:, new] != 0).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"decoder_size": 9}, r"model\.decoder_size is 9 and that of start_from 10; ", id="smaller"),
        pytest.param({"encoder_size": 9}, r"model\.encoder_size is 9 and that of start_from 6; ", id="another size"),
        pytest.param({"decoder_layers": 4}, r"model\.decoder_layers is 4 and that of start_from 3; ", id="deeper"),
    ],
)
def test_what_cannot_grow_is_refused(change: dict[str, int], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        grow_model({}, SMALL, replace(SMALL, **change), seed=1)  # type: ignore[arg-type]


def test_a_shortcut_that_is_there_cannot_be_taken_away() -> None:
    with pytest.raises(ConfigError, match=r"model\.lexical_shortcut is False and that of start_from True; "):
        grow_model({}, replace(SMALL, lexical_shortcut=True), SMALL, seed=1)
