"""How a model is made: one TOML file, one table for each of the records below.

An unknown key, a missing one or a value of the wrong kind is refused with the name nearest to it. Relative paths count
from the folder of the TOML file.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from training.augmentation import AugmentationConfig
from training.cleaning import CleaningConfig
from training.compounds import CONJUNCTIONS
from training.records import build, check_range
from training.schedule import Decay
from translator.catalogue import pretrained_models
from translator.config import DecodingOptions, ModelConfig
from translator.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """One parallel corpus.

    Args:
        source: Language code of `source_file`.
        target: Language code of `target_file`.
        source_file: Text, one sentence a line, plain or .gz.
        target_file: Aligned with `source_file` line by line.
        weight: Times an epoch reads it; 0.5 reads a fresh random half each epoch.
        both_directions: Also learn target to source.
        weight_back: Times an epoch reads it from target to source; 0 is as often as the other way.
        links_file: Which words of each pair belong together, line by line (`carousel link` makes it); what
            `alignment_weight` teaches, of text as it stands, joined and mixed.
        epochs: Only the first so many epochs read it; 0 is all. A direction that no corpus teaches to the end prepares
            the others (Ding et al. 2021) and is not offered.
    """

    source: str
    target: str
    source_file: Path
    target_file: Path
    weight: float = 1.0
    both_directions: bool = False
    weight_back: float = 0.0
    links_file: Path | None = None
    epochs: int = 0

    def __post_init__(self) -> None:
        """Refuses a corpus that is never read."""
        if not 0 < self.weight <= 1000:
            raise ConfigError(
                f"weight is {self.weight}, wanted more than 0 and at most 1000; leave out what is not read."
            )
        check_range(self, "epochs", least=0)
        check_range(self, "weight_back", least=0, most=1000)
        if self.weight_back and not self.both_directions:
            raise ConfigError(
                f"weight_back is {self.weight_back}, and both_directions is false; set it, or leave weight_back out."
            )


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """The SentencePiece model that is learned from the corpora.

    Args:
        vocab_size: V, special tokens included.
        model_type: "unigram" (Kudo 2018) or "bpe" (Sennrich et al. 2016).
        character_coverage: Share of characters that get a piece; the rarest others are unknown.
    """

    vocab_size: int = 8000
    model_type: Literal["unigram", "bpe"] = "unigram"
    character_coverage: float = 0.9998

    def __post_init__(self) -> None:
        """Refuses a vocabulary that cannot be."""
        check_range(self, "vocab_size", least=8, below=1_000_000)
        check_range(self, "character_coverage", least=0.5, most=1)


@dataclass(frozen=True, kw_only=True)
class ModelSizes:
    """The sizes of translator.config.ModelConfig; the vocabulary is the tokenizer's, dropout belongs to training."""

    embedding_size: int = 256
    encoder_layers: int = 1
    encoder_size: int = 256
    decoder_layers: int = 2
    decoder_size: int = 512
    attention_heads: int = 1
    lexical_shortcut: bool = False

    def __post_init__(self) -> None:
        """Refuses sizes that no model can have, before any text is read."""
        ModelConfig(vocab_size=1, **vars(self))


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The optimisation.

    Args:
        max_steps: Updates.
        max_minutes: The run ends after so long on the clock (validations counted, the reading of corpora not), also if
            it made fewer updates. Where the clock is ahead of the updates the schedule follows it, warm-up and decay
            alike. Such a run depends on how fast the machine was, and is not repeated bit for bit. 0 is off.
        batch_tokens: Tokens of one batch on its longer side, padding included.
        accumulate: Batches summed into one update.
        learning_rate: Peak of the schedule.
        warmup_steps: Updates of linear climb.
        decay: What follows: "cosine", "linear", "inverse_sqrt" or "none".
        weight_decay: AdamW's, on matrices only.
        beta1: AdamW's first moment.
        beta2: AdamW's second moment.
        dropout: Probability of dropping a unit on its way into a layer; 0 is off.
        weight_dropout: Probability of dropping a recurrent weight of an LSTM layer for one batch; 0 is off.
        max_gradient_norm: Gradients longer than this are scaled down to it; 0 is off.
        label_smoothing: epsilon; 0 is off.
        alignment_weight: How much attention that misses the words of `links_file` counts beside the words that are
            said; 0 is off.
        token_dropout: Probability of an input token, on either side, being replaced by the unknown token; 0 is off.
        average_decay: Decay of the exponential moving average of the weights, which is what is validated and
            exported; 0 is off.
        precision: "auto" takes bfloat16 products where the processor has them.
        seed: Of weights, dropout and order.
        threads: CPU threads; 0 lets PyTorch decide.
    """

    max_steps: int
    max_minutes: float = 0.0
    batch_tokens: int = 4000
    accumulate: int = 1
    learning_rate: float = 2e-3
    warmup_steps: int = 400
    decay: Decay = "cosine"
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.98
    dropout: float = 0.3
    weight_dropout: float = 0.0
    max_gradient_norm: float = 1.0
    label_smoothing: float = 0.1
    alignment_weight: float = 0.0
    token_dropout: float = 0.0
    average_decay: float = 0.999
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    seed: int = 1
    threads: int = 0

    def __post_init__(self) -> None:
        """Refuses numbers that no optimisation can honour."""
        check_range(self, "max_steps", "batch_tokens", "accumulate", least=1)
        check_range(self, "max_minutes", "learning_rate", "weight_decay", "max_gradient_norm", least=0, below=1_000_000)
        check_range(self, "alignment_weight", least=0, below=1000)
        check_range(self, "warmup_steps", least=0)
        check_range(self, "threads", least=0, below=1024)
        check_range(self, "seed", least=0, below=2**63)
        shares = ("dropout", "weight_dropout", "label_smoothing", "token_dropout", "average_decay")
        check_range(self, "beta1", "beta2", *shares, least=0, below=1)


@dataclass(frozen=True, kw_only=True)
class DirectionFiles:
    """Held-out text of one direction, for choosing checkpoints."""

    source: str
    target: str
    source_file: Path
    target_file: Path


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """How the run is judged while it goes on.

    Args:
        every_steps: Updates between two validations.
        sentences: Of each direction's set, the first so many are used; 0 is all.
        sets: One or several directions.
        patience: Validations without a better BLEU before the run stops early; 0 never stops.
        decoding: Beam 1 keeps validation quick.
    """

    every_steps: int
    sets: tuple[DirectionFiles, ...]
    sentences: int = 500
    patience: int = 0
    decoding: DecodingOptions = field(default_factory=lambda: DecodingOptions(beam_size=1))

    def __post_init__(self) -> None:
        """Refuses a validation that measures nothing."""
        check_range(self, "every_steps", least=1)
        check_range(self, "sentences", "patience", least=0)
        if not self.sets:
            raise ConfigError("validation.sets is empty; give at least one set of held-out text.")
        named = [f"{files.source} to {files.target}" for files in self.sets]
        if len(set(named)) < len(named):
            raise ConfigError(f"validation.sets holds {', '.join(named)}; give one set for each direction.")


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """Everything in one file.

    Args:
        name: Of the model.
        output: Folder of the run.
        corpora: What is learned from.
        start_from: Checkpoint whose sizes and weights the run goes on with: a folder, or the name of a built-in model;
            without it the weights are random.
        model: Its sizes; without it the defaults, or those of `start_from`. With both, the decoder may be wider than
            the checkpoint's, and have the lexical shortcut besides: it says the same at first, and learns on.
        tokenizer: How it is learned; without it the defaults, or the tokenizer of `start_from`. With both, pieces
            that are new begin with the weights of those that spelt them.
        licence: Of the weights, for the model card.
        credits: Of the data, for the model card.
    """

    name: str
    output: Path
    corpora: tuple[CorpusConfig, ...]
    training: TrainingConfig
    validation: ValidationConfig
    start_from: Path | None = None
    cleaning: CleaningConfig = field(default_factory=CleaningConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    tokenizer: TokenizerConfig | None = None
    model: ModelSizes | None = None
    decoding: DecodingOptions = field(default_factory=DecodingOptions)
    licence: str = "unspecified"
    credits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses an experiment without text."""
        if not self.corpora:
            raise ConfigError("corpora is empty; give at least one [[corpora]] table.")
        if self.training.alignment_weight and not any(corpus.links_file for corpus in self.corpora):
            raise ConfigError(
                "training.alignment_weight is set, and no corpus has a links_file; name one, or leave the weight out."
            )
        for corpus in self.corpora:
            self._check_dresses(corpus)
        if not self.directions:
            raise ConfigError("Every corpus ends after some epochs; leave epochs out of at least one.")
        for files in self.validation.sets:
            if (files.source, files.target) not in self.directions:
                taught = ", ".join(f"{source} to {target}" for source, target in self.directions)
                raise ConfigError(
                    f"validation.sets has {files.source} to {files.target}, which no corpus teaches to the end; "
                    f"taught: {taught}."
                )

    def _check_dresses(self, corpus: CorpusConfig) -> None:
        """Refuses a dress that asks for what the corpus has not."""
        for dress in ("emphasised", "excerpted"):
            if getattr(self.augmentation, dress) and corpus.links_file is None:
                raise ConfigError(
                    f"augmentation.{dress} is set, and {corpus.source_file.name} comes without links_file; make one by "
                    "carousel link, or leave it out."
                )
        unknown = sorted({corpus.source, corpus.target} - CONJUNCTIONS.keys())
        if self.augmentation.compounded and unknown:
            raise ConfigError(
                f"augmentation.compounded knows conjunctions of {', '.join(CONJUNCTIONS)}, not of "
                f"{', '.join(unknown)}; leave it out."
            )

    @property
    def directions(self) -> tuple[tuple[str, str], ...]:
        """Every (source, target) the corpora teach to the end, in their order, each once."""
        seen: dict[tuple[str, str], None] = {}
        for corpus in self.corpora:
            if corpus.epochs:
                continue
            seen[corpus.source, corpus.target] = None
            if corpus.both_directions:
                seen[corpus.target, corpus.source] = None
        return tuple(seen)

    @property
    def languages(self) -> tuple[str, ...]:
        """Every language that text is read in, sorted; one that only the first epochs read is not offered."""
        return tuple(sorted({code for corpus in self.corpora for code in (corpus.source, corpus.target)}))


def load_config(path: Path) -> ExperimentConfig:
    """Reads an experiment.

    Raises:
        ConfigError: The file is missing, is no TOML, holds an unknown, missing or ill-typed key, or a number that no
            run can honour.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no config file {path}; see configs/ for examples.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    # The name of a built-in model is no path beside the file; anything else is, also where it ends in such a name.
    if isinstance(name := table.get("start_from"), str) and (built_in := pretrained_models().get(name)):
        table["start_from"] = str(built_in)
    return build(ExperimentConfig, table, folder=path.resolve().parent)
