"""What a checkpoint must remember, and how a search is asked for: frozen records that check themselves.

Modules never receive these records, only the plain sizes in them.
"""

from dataclasses import dataclass
from math import isfinite

from translator.errors import ConfigError

MAX_BEAM_SIZE = 500


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The sizes of one encoder-decoder.

    Args:
        vocab_size: V, pieces shared by all languages of the model.
        embedding_size: E, width of the one embedding table that source, target and softmax share.
        encoder_layers: Bidirectional LSTM layers, at least 1.
        encoder_size: Hidden units of each direction; encoder outputs have D = 2 * encoder_size.
        decoder_layers: LSTM layers, at least 1; the first asks the attention, the later ones receive the context.
        decoder_size: H, hidden units of each decoder layer.
        attention_heads: Independent attention distributions; must divide D. 1 is plain attention.
        lexical_shortcut: Whether the readout also sees the embeddings of the source pieces that attention looks at.
        dropout: Probability of dropping a unit between layers while training; 0 is off.
    """

    vocab_size: int
    embedding_size: int = 256
    encoder_layers: int = 1
    encoder_size: int = 256
    decoder_layers: int = 2
    decoder_size: int = 512
    attention_heads: int = 1
    lexical_shortcut: bool = False
    dropout: float = 0.3

    def __post_init__(self) -> None:
        """Refuses sizes that no model can have."""
        for name, value in vars(self).items():
            if name not in ("dropout", "lexical_shortcut"):
                _require_count(name, value)
        _require(
            isinstance(self.lexical_shortcut, bool),
            f"lexical_shortcut is {self.lexical_shortcut!r}, wanted true or false.",
        )
        _require(0 <= self.dropout < 1, f"dropout is {self.dropout}, wanted a number from 0 up to, not including, 1.")
        width = 2 * self.encoder_size
        _require(
            width % self.attention_heads == 0,
            f"attention_heads is {self.attention_heads}, wanted a divisor of 2 * encoder_size = {width}.",
        )


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How the best translation is looked for.

    Args:
        beam_size: Hypotheses kept a step; 1 is greedy search.
        n_best: Translations returned for each sentence, at most beam_size.
        length_penalty: alpha of ((5 + |Y|) / 6)^alpha (Wu et al. 2016, eq. 14), at most 10; 0 is off.
        coverage_penalty: beta of the same equation, at most 10; 0 is off.
        pruning_threshold: Nats that a hypothesis may be behind the likeliest of its length and still be continued, at
            most 100; 0 is no limit. As many as `n_best` are continued all the same.
        decision_delay: Tokens after which one is decided, at most 1,000: what differs so far back from the likeliest
            hypothesis is not continued, where one translation is wanted; 0 is never.
        no_repeat_ngram_size: Tokens in a row that are not said again, 2 to 100, unless the source repeats itself too;
            0 is no such rule.
        max_length_ratio: Target tokens allowed for each source token, at most 100.
        max_length_margin: Target tokens allowed besides.
    """

    beam_size: int = 5
    n_best: int = 1
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    pruning_threshold: float = 0.0
    decision_delay: int = 0
    no_repeat_ngram_size: int = 0
    max_length_ratio: float = 2.0
    max_length_margin: int = 10

    def __post_init__(self) -> None:
        """Refuses options that no search can honour."""
        for name in ("beam_size", "n_best", "max_length_margin"):
            _require_count(name, getattr(self, name))
        _require(
            self.n_best <= self.beam_size,
            f"n_best is {self.n_best}, wanted 1 to beam_size = {self.beam_size}; raise beam_size to get more.",
        )
        _require(self.beam_size <= MAX_BEAM_SIZE, f"beam_size is {self.beam_size}, wanted at most {MAX_BEAM_SIZE}.")
        for name, highest in (("decision_delay", 1000), ("no_repeat_ngram_size", 100)):
            count = getattr(self, name)
            whole = isinstance(count, int) and not isinstance(count, bool)
            _require(
                whole and 0 <= count <= highest, f"{name} is {count!r}, wanted a whole number from 0 to {highest}."
            )
        _require(self.no_repeat_ngram_size != 1, "no_repeat_ngram_size is 1, wanted 0, or 2 and more.")
        limits = {"length_penalty": 10, "coverage_penalty": 10, "pruning_threshold": 100, "max_length_ratio": 100}
        for name, highest in limits.items():
            value = getattr(self, name)
            _require(
                isfinite(value) and 0 <= value <= highest, f"{name} is {value}, wanted a number from 0 to {highest}."
            )

    def max_target_length(self, source_length: int) -> int:
        """Returns the most target tokens, eos included, for a source of `source_length` tokens."""
        return int(self.max_length_ratio * source_length) + self.max_length_margin


def _require_count(name: str, value: object) -> None:
    _require(isinstance(value, int) and value >= 1, f"{name} is {value!r}, wanted a whole number of at least 1.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
