"""How weights lie in a file: as they are, halved to bfloat16, or as int8 with a scale for each row.

    int8:  w[r, c] ~ scale[r] * q[r, c],  scale[r] = max_c |w[r, c]| / 127,  q in -127..127

Vectors (biases) are small and stay float32. The file is of safetensors' format, and read without
PyTorch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import deserialize

from translator.arrays import Array, in_levels, narrowed, widened

StoredType = Literal["float32", "bfloat16", "int8"]
SCALE = ".row_scale"

Weights = Mapping[str, Array]
"""By the names that the model gives its parameters."""
Packed = dict[str, NDArray[Any]]
"""float32, int8, or uint16 for bfloat16."""

_READ = {"F32": np.float32, "I8": np.int8, "BF16": np.uint16}


def pack_weights(weights: Weights, stored_type: StoredType) -> Packed:
    """Returns what is stored for `weights`."""
    packed: Packed = {}
    for name, weight in weights.items():
        weight = np.ascontiguousarray(weight, dtype=np.float32)
        if weight.ndim < 2 or stored_type == "float32":
            packed[name] = weight
        elif stored_type == "bfloat16":
            packed[name] = narrowed(weight)
        else:
            packed[name], packed[name + SCALE] = in_levels(weight)
    return packed


def unpack_weights(packed: Mapping[str, NDArray[Any]]) -> dict[str, Array]:
    """Returns float32 weights of what was stored, whichever way it was.

    Raises:
        ValueError: Whole numbers have no scale for each row, or a scale has no weights.
    """
    _check_scales(packed)
    weights: dict[str, Array] = {
        name: widened(array) if array.dtype == np.uint16 else array.astype(np.float32)
        for name, array in packed.items()
        if not name.endswith(SCALE)
    }
    for name, array in packed.items():
        if name.endswith(SCALE):
            weights[name.removesuffix(SCALE)] *= array[:, None]
    return weights


def _check_scales(packed: Mapping[str, NDArray[Any]]) -> None:
    for name, array in packed.items():
        if name.endswith(SCALE):
            weight = packed.get(name.removesuffix(SCALE))
            if weight is None or array.shape != weight.shape[:1]:
                came = "no weights" if weight is None else f"{array.shape} for weights of {weight.shape}"
                raise ValueError(f"{name} has {came}, wanted a number for each row of its weights")
        elif array.dtype == np.int8 and name + SCALE not in packed:
            raise ValueError(f"{name} is stored as whole numbers without {name + SCALE}")


def write_weights(packed: Packed, path: Path) -> None:
    """Writes a file of what was packed; loads PyTorch, as safetensors writes bfloat16 for no other.

    Raises:
        SafetensorError: It could not be written.
    """
    import torch
    from safetensors.torch import save_file

    tensors = {name: torch.from_numpy(array) for name, array in packed.items()}
    save_file(
        {name: each.view(torch.bfloat16) if each.dtype == torch.uint16 else each for name, each in tensors.items()},
        path,
    )


def read_weights(content: bytes) -> Packed:
    """Reads what such a file holds.

    Raises:
        SafetensorError: It is no such file.
        ValueError: It holds something that is stored otherwise.
    """
    parts = deserialize(content)  # type: ignore[no-untyped-call]
    for name, part in parts:
        if part["dtype"] not in _READ:
            raise ValueError(f"{name} is stored as {part['dtype']}, wanted {', '.join(_READ)}")
    return {
        name: np.frombuffer(part["data"], dtype=_READ[part["dtype"]]).reshape(part["shape"]) for name, part in parts
    }


def expected_shapes(
    *,
    vocab_size: int,
    embedding_size: int,
    encoder_layers: int,
    encoder_size: int,
    decoder_layers: int,
    decoder_size: int,
    lexical_shortcut: bool,
) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each weight of a model of such sizes; see `translator.config.ModelConfig`."""
    memory = 2 * encoder_size
    shapes: dict[str, tuple[int, ...]] = {
        "embedding.weight": (vocab_size, embedding_size),
        "output_bias": (vocab_size,),
        "decoder.bridge.weight": (decoder_layers * 2 * decoder_size, memory),
        "decoder.bridge.bias": (decoder_layers * 2 * decoder_size,),
        "decoder.attention.query.weight": (memory, decoder_size),
        "decoder.attention.key.weight": (memory, memory),
        "decoder.readout.weight": (
            embedding_size,
            decoder_size + memory + (embedding_size if lexical_shortcut else 0),
        ),
        "decoder.readout.bias": (embedding_size,),
    }
    for depth in range(encoder_layers):
        for side in ("forwards", "backwards"):
            width = memory if depth else embedding_size
            shapes |= _lstm_shapes(f"encoder.{side}.{depth}", width, encoder_size)
    for depth in range(decoder_layers):
        width = decoder_size + memory if depth else embedding_size
        shapes |= _lstm_shapes(f"decoder.layers.{depth}", width, decoder_size)
    return shapes


def _lstm_shapes(name: str, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.weight_ih_l0": (4 * hidden, inputs),
        f"{name}.weight_hh_l0": (4 * hidden, hidden),
        f"{name}.bias_ih_l0": (4 * hidden,),
        f"{name}.bias_hh_l0": (4 * hidden,),
    }
