"""In which arithmetic a model decodes: what is asked for, and what the machine has."""

import re
from importlib.util import find_spec
from typing import Literal, get_args

from translator import kernels
from translator.errors import ConfigError

ComputeType = Literal["int8", "bfloat16", "float32"]
WantedComputeType = Literal["auto", "int8", "bfloat16", "float32"]


def choose_compute_type(wanted: WantedComputeType, device: str) -> ComputeType:
    """Returns what is wanted, or for "auto" the best that can be had.

    Args:
        wanted: "auto" takes int8 where our own kernels are (VNNI, AVX2) or PyTorch multiplies it exactly (VNNI), else
            bfloat16 where a processor multiplies it natively, else float32.
        device: Where it will run, as PyTorch names it.

    Raises:
        ConfigError: There is no such type or processor, or int8 is wanted where it cannot be had: without VNNI
            PyTorch's kernels saturate, so sums are not exact.
    """
    if on_processor(device) and not re.fullmatch(r"cpu(:\d+)?", device):
        raise ConfigError(f"device {device!r} is not to be had here (wanted cpu, or a device as PyTorch names it).")
    if wanted not in get_args(WantedComputeType):
        raise ConfigError(f"compute_type is {wanted!r}, wanted {', '.join(get_args(WantedComputeType))}.")
    if wanted in ("float32", "bfloat16"):
        return wanted
    if on_processor(device) and (kernels.available() or _processor_has("_is_vnni_supported")):
        return "int8"
    if wanted == "int8":
        place = "this processor without Carousel's kernels" if on_processor(device) else device
        raise ConfigError(f"compute_type int8 is not to be had on {place}; choose bfloat16, float32 or auto.")
    return "bfloat16" if has_bfloat16(device) else "float32"


def has_bfloat16(device: str) -> bool:
    """Whether a processor multiplies bfloat16 natively."""
    return on_processor(device) and _processor_has("_is_avx512_bf16_supported")


def require_pytorch() -> None:
    """Refuses what only PyTorch can do where it is not installed, as in a container that was made without it.

    Raises:
        ConfigError: It is not.
    """
    if find_spec("torch") is None:
        raise ConfigError(
            "PyTorch is not installed, which computes all but int8 on a processor with Carousel's kernels (x86-64 with "
            "AVX2): install torch, or build the container with --build-arg PYTORCH=yes."
        )


def on_processor(device: str) -> bool:
    """Whether a device, as PyTorch names it, is the processor itself."""
    return device.split(":")[0] == "cpu"


def _processor_has(question: str) -> bool:
    """Asks PyTorch, by private names that every version this project supports has; a missing one means no.

    Raises:
        ConfigError: PyTorch is not there.
    """
    require_pytorch()
    import torch

    return bool(getattr(torch.cpu, question, lambda: False)())
