"""How weights lie in a file: as they are, halved to bfloat16, or as int8 with a scale for each row.

    int8:  w[r, c] ~ scale[r] * q[r, c],  scale[r] = max_c |w[r, c]| / 127,  q in -127..127

Vectors (biases) are small and stay float32.
"""

from typing import Literal

import torch
from torch import Tensor

StoredType = Literal["float32", "bfloat16", "int8"]
SCALE = ".row_scale"


def pack_weights(weights: dict[str, Tensor], stored_type: StoredType) -> dict[str, Tensor]:
    """Returns what is stored for `weights`."""
    packed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        weight = weight.detach().cpu().float().contiguous()
        if weight.dim() < 2 or stored_type == "float32":
            packed[name] = weight
        elif stored_type == "bfloat16":
            packed[name] = weight.bfloat16()
        else:
            scale = weight.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127  # [rows]
            packed[name] = (weight / scale[:, None]).round().to(torch.int8)
            packed[name + SCALE] = scale
    return packed


def unpack_weights(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns float32 weights of what was stored, whichever way it was."""
    weights = {name: tensor.float() for name, tensor in packed.items() if not name.endswith(SCALE)}
    for name, tensor in packed.items():
        if name.endswith(SCALE):
            weights[name.removesuffix(SCALE)] *= tensor[:, None]
    return weights
