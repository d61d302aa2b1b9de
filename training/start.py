"""Where a run starts: from random weights and a tokenizer of its own, or from a checkpoint that exists.

Starting from a checkpoint is how a translator is taught more, or taught one team's way of speaking, in a fraction of
the time: its weights are the first ones, and everything else is an ordinary run. Its pieces stay too, unless the
experiment wants others: for another language, say. So do its sizes, unless it is to grow.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor

from training.config import ExperimentConfig, ModelSizes, TokenizerConfig
from training.corpus import ParallelText
from training.growth import grow_model
from training.tokenizer import learn_tokenizer
from training.vocabulary_transfer import transfer_vocabulary
from translator.catalogue import find_checkpoint
from translator.checkpoint import Checkpoint, load_checkpoint
from translator.config import ModelConfig
from translator.errors import ConfigError
from translator.tokenizer import Tokenizer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """What a trainer begins with.

    Args:
        tokenizer: Of both sides.
        sizes: Of the model.
        weights: The first ones by name; empty for random ones.
        recipe: For the manifest: how the tokenizer came to be, and what the weights are.
    """

    tokenizer: Tokenizer
    sizes: ModelConfig
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


def find_checkpoint_to_start_from(config: ExperimentConfig) -> Checkpoint | None:
    """Reads the checkpoint that `config` goes on from, if it names one.

    Raises:
        CheckpointError: There is no such checkpoint, or it cannot be trusted.
    """
    if config.start_from is None:
        return None
    folder = find_checkpoint(config.start_from)
    logger.info("starting from the weights of %s", folder)
    return load_checkpoint(folder)


def choose_tokenizer(config: ExperimentConfig, texts: list[ParallelText], checkpoint: Checkpoint | None) -> Tokenizer:
    """Learns a tokenizer for `texts`, or takes that of the checkpoint where the experiment asks for no other.

    Raises:
        ConfigError: The checkpoint does not know a language of the experiment.
    """
    if checkpoint is None or config.tokenizer is not None:
        return _learn(config.tokenizer or TokenizerConfig(), config, texts)
    if unknown := sorted(set(config.languages) - set(checkpoint.tokenizer.languages)):
        known = ", ".join(checkpoint.tokenizer.languages)
        raise ConfigError(
            f"{checkpoint.manifest.name} knows {known}, and the corpora are also in {', '.join(unknown)}; take "
            "those out, or add a tokenizer table: then pieces for all are learned."
        )
    return checkpoint.tokenizer


def find_start(config: ExperimentConfig, tokenizer: Tokenizer, checkpoint: Checkpoint | None) -> Start:
    """Finds sizes and first weights: random ones, or those of the checkpoint, for the pieces of `tokenizer`.

    Raises:
        ConfigError: The experiment asks for what the checkpoint is not.
    """
    if checkpoint is None:
        options = config.tokenizer or TokenizerConfig()
        sizes = ModelConfig(
            vocab_size=tokenizer.vocab_size, dropout=config.training.dropout, **asdict(config.model or ModelSizes())
        )
        return Start(tokenizer, sizes, recipe={"tokenizer": asdict(options)})
    return _onwards(config, tokenizer, checkpoint)


def _onwards(config: ExperimentConfig, tokenizer: Tokenizer, checkpoint: Checkpoint) -> Start:
    manifest, old = checkpoint.manifest, checkpoint.tokenizer
    sizes, weights, recipe = manifest.model, dict[str, Tensor](checkpoint.model.state_dict()), dict[str, Any]()
    if config.model is not None:
        sizes = replace(manifest.model, **asdict(config.model))
        weights = grow_model(weights, manifest.model, sizes, seed=config.training.seed)
    if config.tokenizer is not None:
        weights = transfer_vocabulary(weights, old, tokenizer)
        recipe["tokenizer"] = asdict(config.tokenizer)
    elif tokenizer.to_bytes() != old.to_bytes():
        raise ConfigError(
            f"The text was prepared with the pieces of another checkpoint than {manifest.name} as start_from names it; "
            "prepare it anew."
        )
    origin = {
        "name": manifest.name,
        "weights_sha256": manifest.weights_sha256,
        "licence": manifest.licence,
        "credits": manifest.credits,
        "training": manifest.training,
    }
    sizes = replace(sizes, vocab_size=tokenizer.vocab_size, dropout=config.training.dropout)
    return Start(tokenizer, sizes, weights, recipe | {"started_from": origin})


def _learn(options: TokenizerConfig, config: ExperimentConfig, texts: list[ParallelText]) -> Tokenizer:
    """The same text and settings give the same tokenizer."""
    model = learn_tokenizer(
        (side for text in texts for pair in text.pairs for side in pair),
        vocab_size=options.vocab_size,
        languages=config.languages,
        model_type=options.model_type,
        character_coverage=options.character_coverage,
    )
    return Tokenizer.from_bytes(model)
