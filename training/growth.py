"""A larger model that says what a smaller one says: its weights in their places, new units that nobody hears yet.

A unit that is new gets random weights for what it reads, and zeros in whatever reads it. So nothing changes at first,
and training finds a use for it. The lexical shortcut is new columns of the readout, which begin as zeros too.

Source: Chen et al. 2016, "Net2Net", section 2.2; the zeros in place of copied units are as in Wei et al. 2016.
"""

from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor

from translator.config import ModelConfig
from translator.errors import ConfigError
from translator.model import TranslationModel

GATES = 4


def grow_model(weights: Mapping[str, Tensor], old: ModelConfig, new: ModelConfig, *, seed: int) -> dict[str, Tensor]:
    """Returns the weights of a model of the sizes `new` that says what the one of the sizes `old` says.

    Args:
        weights: Of the smaller model, by name.
        old: Its sizes.
        new: The sizes wanted; `decoder_size` may be larger, and the lexical shortcut there.
        seed: Of the weights of new units.

    Raises:
        ConfigError: Another size differs, or one is smaller.
    """
    _check(old, new)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        grown = TranslationModel.from_config(new).state_dict()
    for name, weight in grown.items():
        rows, columns = _places(name, old, new)
        before = weights[name]
        rows = torch.arange(len(before)) if rows is None else rows
        if weight.dim() == 1:
            weight[rows] = before
            continue
        columns = torch.arange(before.shape[1]) if columns is None else columns
        listening = weight[rows].zero_()  # what was there listens to nothing new
        listening[:, columns] = before
        weight[rows] = listening
    return grown


def _check(old: ModelConfig, new: ModelConfig) -> None:
    for name, wanted in asdict(new).items():
        given = asdict(old)[name]
        grows = name in ("decoder_size", "lexical_shortcut") and wanted >= given
        if wanted != given and not grows and name != "dropout":
            raise ConfigError(
                f"model.{name} is {wanted} and that of start_from {given}; decoder_size may grow and lexical_shortcut "
                "be added, the rest stays: take it over from the checkpoint's manifest.json."
            )


def _places(name: str, old: ModelConfig, new: ModelConfig) -> tuple[Tensor | None, Tensor | None]:
    """Says which rows and columns of a larger weight are those of the smaller one; None is the first ones.

    Decoder units come once in each gate, once in each layer's hidden state and cell of the bridge, and first among what
    later layers and the readout read, before the context.
    """
    units = torch.arange(old.decoder_size)
    context = new.decoder_size + torch.arange(2 * old.encoder_size)
    if name.startswith("decoder.bridge."):
        return _repeated(units, 2 * old.decoder_layers, new.decoder_size), None
    if name == "decoder.attention.query.weight":
        return None, units
    if name == "decoder.readout.weight":
        embedded = new.decoder_size + 2 * old.encoder_size + torch.arange(old.embedding_size)
        return None, torch.cat([units, context, embedded] if old.lexical_shortcut else [units, context])
    if name.startswith("decoder.layers."):
        gates = _repeated(units, GATES, new.decoder_size)
        if name.endswith("weight_hh_l0"):
            return gates, units
        if name.endswith("weight_ih_l0") and not name.startswith("decoder.layers.0."):
            return gates, torch.cat([units, context])
        return gates, None
    return None, None


def _repeated(units: Tensor, times: int, width: int) -> Tensor:
    """The places of the same units in several blocks of a width, one behind the other."""
    return (torch.arange(times)[:, None] * width + units).flatten()
