"""AdamW as this project uses it, and the precision its products run in."""

from typing import Literal

import torch
from torch import nn

from training.config import TrainingConfig
from translator.errors import ConfigError

Precision = Literal["bfloat16", "float32"]


def make_optimizer(model: nn.Module, options: TrainingConfig) -> torch.optim.AdamW:
    """Returns AdamW, whose decay pulls on matrices only, never on biases (Loshchilov & Hutter 2019, section 2)."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [{"params": matrices, "weight_decay": options.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    betas = (options.beta1, options.beta2)
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=betas, eps=1e-9, fused=True)


def choose_precision(wanted: Literal["auto", "bfloat16", "float32"], device: torch.device) -> Precision:
    """Returns what is wanted; "auto" takes bfloat16 where the processor multiplies it natively.

    Raises:
        ConfigError: bfloat16 is wanted on a processor on which PyTorch has no LSTM in it.
    """
    if wanted == "bfloat16" and device.type == "cpu" and not can_learn_in_bfloat16():
        raise ConfigError(
            "training.precision is bfloat16, which PyTorch's LSTM has not on this processor (it wants AVX-512); choose "
            "float32 or auto."
        )
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    # Private names, present in every PyTorch this project supports; where they are missing, float32 is always right.
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    native = any(getattr(torch.cpu, question, lambda: False)() for question in questions)
    return "bfloat16" if native else "float32"


def can_learn_in_bfloat16() -> bool:
    """Whether PyTorch has an LSTM in bfloat16 for this processor; where it does not say, it is tried."""
    ask = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    return bool(ask())
