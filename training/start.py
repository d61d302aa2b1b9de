"""Where a run starts: from random weights and a tokenizer of its own, or from a checkpoint that exists.

Starting from a checkpoint is how a translator is taught more, or taught one team's way of speaking, in a fraction of
the time: its pieces and its sizes stay, its weights are the first ones, and everything else is an ordinary run.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor

from training.config import ExperimentConfig, ModelSizes, TokenizerConfig
from training.corpus import ParallelText
from training.tokenizer import learn_tokenizer
from translator.catalogue import find_checkpoint, pretrained_models
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


def find_start(config: ExperimentConfig, texts: list[ParallelText]) -> Start:
    """Learns a tokenizer for `texts`, or takes all there is from the checkpoint that `config` names.

    Raises:
        CheckpointError: There is no such checkpoint, or it cannot be trusted.
        ConfigError: The experiment asks for what the checkpoint is not.
    """
    if config.start_from is None:
        return _afresh(config, texts)
    # The name of a built-in model was read as a path beside the experiment's file, where there is no such folder.
    built_in = not config.start_from.exists() and config.start_from.name in pretrained_models()
    folder = find_checkpoint(config.start_from.name if built_in else config.start_from)
    logger.info("starting from the weights of %s", folder)
    return _onwards(config, load_checkpoint(folder))


def _afresh(config: ExperimentConfig, texts: list[ParallelText]) -> Start:
    """The same text and settings give the same tokenizer."""
    options = config.tokenizer or TokenizerConfig()
    model = learn_tokenizer(
        (side for text in texts for pair in text.pairs for side in pair),
        vocab_size=options.vocab_size,
        languages=config.languages,
        model_type=options.model_type,
        character_coverage=options.character_coverage,
    )
    tokenizer = Tokenizer.from_bytes(model)
    sizes = ModelConfig(vocab_size=tokenizer.vocab_size, **asdict(config.model or ModelSizes()))
    return Start(tokenizer, sizes, recipe={"tokenizer": asdict(options)})


def _onwards(config: ExperimentConfig, checkpoint: Checkpoint) -> Start:
    manifest, model, tokenizer = checkpoint
    if config.tokenizer is not None:
        raise ConfigError(
            f"start_from takes the tokenizer of {manifest.name}, and the file describes another; take the tokenizer "
            "table out, or start_from."
        )
    if unknown := sorted(set(config.languages) - set(tokenizer.languages)):
        raise ConfigError(
            f"{manifest.name} knows {', '.join(tokenizer.languages)}, and the corpora are also in "
            f"{', '.join(unknown)}; take those out, or start without start_from."
        )
    origin = {
        "name": manifest.name,
        "weights_sha256": manifest.weights_sha256,
        "training": manifest.training,
    }
    return Start(tokenizer, _sizes(config, manifest.model), model.state_dict(), {"started_from": origin})


def _sizes(config: ExperimentConfig, there: ModelConfig) -> ModelConfig:
    """Returns the checkpoint's sizes, with the dropout of the experiment if it has a model table."""
    if config.model is None:
        return there
    wanted = replace(there, **asdict(config.model))
    for name, size in vars(wanted).items():
        if name != "dropout" and size != getattr(there, name):
            raise ConfigError(
                f"model.{name} is {size}, and the checkpoint that start_from names has {getattr(there, name)}; only "
                "dropout may differ: copy the other sizes, or leave the model table out."
            )
    return wanted
