"""Settings that check themselves: what is possible passes, all else is refused with what was wanted."""

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.config import DecodingOptions, ModelConfig
from translator.errors import ConfigError

SIZES = ["vocab_size", "embedding_size", "encoder_layers", "encoder_size", "decoder_layers", "decoder_size"]


@pytest.mark.parametrize("name", [*SIZES, "attention_heads"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(0, id="nothing"),
        pytest.param(-3, id="negative"),
        pytest.param(2.5, id="not whole"),
        pytest.param("8", id="text"),
        pytest.param(None, id="null"),
    ],
)
def test_a_size_is_a_whole_number_of_at_least_one(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is {value!r}, wanted a whole number of at least 1"):
        ModelConfig(**{"vocab_size": 8, name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 1.5, float("nan"), float("inf")])
def test_dropout_is_a_probability_below_one(dropout: float) -> None:
    with pytest.raises(ConfigError, match="wanted a number from 0 up to, not including, 1"):
        ModelConfig(vocab_size=8, dropout=dropout)


@pytest.mark.parametrize("value", [1, "yes", None])
def test_the_lexical_shortcut_is_there_or_not(value: object) -> None:
    with pytest.raises(ConfigError, match=f"^lexical_shortcut is {value!r}, wanted true or false"):
        ModelConfig(vocab_size=8, lexical_shortcut=value)  # type: ignore[arg-type]


@given(st.integers(1, 40), st.integers(1, 40))
def test_heads_must_divide_the_width_of_the_encoder(encoder_size: int, heads: int) -> None:
    if (2 * encoder_size) % heads == 0:
        assert ModelConfig(vocab_size=8, encoder_size=encoder_size, attention_heads=heads).attention_heads == heads
    else:
        with pytest.raises(ConfigError, match=rf"wanted a divisor of 2 \* encoder_size = {2 * encoder_size}"):
            ModelConfig(vocab_size=8, encoder_size=encoder_size, attention_heads=heads)


@pytest.mark.parametrize("name", ["beam_size", "n_best", "max_length_margin"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2"], ids=["nothing", "negative", "not whole", "text"])
def test_counts_of_the_search_are_whole_numbers_of_at_least_one(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is {value!r}, wanted a whole number of at least 1"):
        DecodingOptions(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "highest"),
    [("length_penalty", 10), ("coverage_penalty", 10), ("pruning_threshold", 100), ("max_length_ratio", 100)],
)
@pytest.mark.parametrize(
    "value", [-0.1, float("nan"), float("inf"), 100.5], ids=["negative", "no number", "infinite", "too large"]
)
def test_weights_of_the_search_are_within_their_range(name: str, highest: int, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is {value}, wanted a number from 0 to {highest}"):
        DecodingOptions(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["decision_delay", "no_repeat_ngram_size"])
@pytest.mark.parametrize("value", [-1, 1001, 0.5, True, "2"], ids=["negative", "large", "not whole", "truth", "text"])
def test_what_is_looked_back_at_is_a_whole_number_of_tokens(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is {value!r}, wanted a whole number from 0 to 100"):
        DecodingOptions(**{name: value})  # type: ignore[arg-type]


def test_single_tokens_may_be_said_again() -> None:
    with pytest.raises(ConfigError, match=r"^no_repeat_ngram_size is 1, wanted 0, or 2 and more\."):
        DecodingOptions(no_repeat_ngram_size=1)


def test_more_translations_than_hypotheses_are_refused_with_the_way_out() -> None:
    assert DecodingOptions(beam_size=4, n_best=4).n_best == 4
    with pytest.raises(ConfigError, match="n_best is 5, wanted 1 to beam_size = 4; raise beam_size to get more"):
        DecodingOptions(beam_size=4, n_best=5)


def test_the_maximum_length_is_ratio_times_source_plus_margin() -> None:
    options = DecodingOptions(max_length_ratio=1.5, max_length_margin=4)
    assert [options.max_target_length(length) for length in (1, 2, 3, 10)] == [5, 7, 8, 19]
    assert replace(options, max_length_ratio=0).max_target_length(1000) == 4


def test_records_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ModelConfig(vocab_size=8).vocab_size = 9  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        DecodingOptions().beam_size = 9  # type: ignore[misc]
