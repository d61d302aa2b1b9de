"""Matrix products with weights that never change, by PyTorch, in the arithmetic the processor is quickest at.

    float32    as it is
    bfloat16   rows, weights and results rounded to 8 significant bits, sums in float32
    int8       rows and weights rounded to 255 levels, sums exact in int32

For int8 the largest magnitude a row may hold must be known beforehand. It is here: what an LSTM, a tanh or a sum of
such gives is bounded by how it was made. So the scale of the rows is a constant, the same for every sentence, and a
product never depends on what else is in the batch; a scale measured on the batch would.

    x ~ bound / 127 * round(127 * x / bound),   w[o, i] ~ scale[o] * round(w[o, i] / scale[o])

Source: Wu et al. 2016, section 6 (an LSTM translator in 8 bits, its values clipped); Jacob et al. 2018, section 2.1.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from translator.arrays import LEVELS, in_levels
from translator.compute_type import ComputeType
from translator.kernels import ZERO_POINT

Product = Callable[..., Tensor]
"""Rows [N, in] float32 to [N, out] float32; the rows may come in parts, [N, any] each, that belong side by side."""

FEW_ROWS = 16


def make_product(weight: Tensor, bias: Tensor | None, *, bound: float, compute_type: ComputeType) -> Product:
    """Packs a product.

    Args:
        weight: [out, in] float32.
        bias: [out] float32, or None.
        bound: Largest magnitude a row will hold; only int8 asks.
        compute_type: How it is computed.

    Returns:
        A function that gives `rows @ weight.t() + bias`.
    """
    if compute_type == "float32":
        return _float32(weight, bias)
    if compute_type == "bfloat16":
        return _bfloat16(weight, bias)
    return _int8(weight, bias, bound)


def _float32(weight: Tensor, bias: Tensor | None) -> Product:
    turned = weight.t().contiguous()
    if bias is None:
        return lambda *parts: _beside(parts) @ turned
    return lambda *parts: torch.addmm(bias, _beside(parts), turned)


def _beside(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)


def _bfloat16(weight: Tensor, bias: Tensor | None) -> Product:
    rounded, start = weight.bfloat16(), torch.zeros(()) if bias is None else bias

    def product(*parts: Tensor) -> Tensor:
        return torch.nn.functional.linear(_beside(parts).bfloat16(), rounded).float() + start

    return product


def _int8(weight: Tensor, bias: Tensor | None, bound: float) -> Product:
    levels, scale = map(torch.from_numpy, in_levels(weight.numpy()))
    packed = torch.ops.onednn.qlinear_prepack(levels, None)
    no_shift = torch.zeros(len(weight), dtype=torch.int32)
    width, middle = weight.shape[1], torch.tensor(ZERO_POINT + 0.5)  # cut off to whole numbers: rounded

    def product(*parts: Tensor) -> Tensor:
        count, start = len(parts[0]), 0
        quantised = torch.empty(_rounded_up(count), width, dtype=torch.uint8)  # what lies behind the rows is dropped
        for part in parts:
            end = start + part.shape[1]
            quantised[:count, start:end] = torch.add(middle, part, alpha=LEVELS / bound)
            start = end
        products: Tensor = torch.ops.onednn.qlinear_pointwise(
            quantised, bound / LEVELS, ZERO_POINT, packed, scale, no_shift, bias, 1.0, 0, torch.float32, "none", [], ""
        )
        return products[:count]

    return product


def _rounded_up(count: int) -> int:
    """Rounds a number of more than 16 rows up to a multiple of 16, and of an eighth of the power of two below it.

    oneDNN makes a kernel for each number of rows and keeps so many; this leaves at most eight for each power of two. A
    few rows, one sentence's, get kernels of their own, which need two thirds of the time.
    """
    if count <= FEW_ROWS:
        return count
    step = max(FEW_ROWS, 1 << max(0, count.bit_length() - 4))
    return -(-count // step) * step
