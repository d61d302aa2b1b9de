"""Kernels of our own for training on a CPU in bfloat16: `kernels.c`, reached through ctypes.

PyTorch gives an LSTM layer to oneDNN, which takes up to four times as long for the way back as its products need. Here
what can be one product over all steps is PyTorch's, at the full rate of the processor, and what goes from step to step,
the recurrent product and the functions of the gates, is one call, with the weights in the cache. The gradient of a
weight is a product of a turned matrix; oneDNN is at its best when it gets that turned already.

They are there where the package was built with a C compiler and runs on a processor with AVX-512 BF16; AMX is used
where it is. Otherwise `available` is False and layers learn with PyTorch's kernel.

Letters: B sentences · T steps · I width of the inputs · H units · N rows · V vocabulary.
"""

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from translator.lstm import LstmLayer

INTERFACE = 1
"""What `kernels.c` says of itself: an older file that an update left behind is not used."""
UNITS = 32
"""A layer's width is to be a multiple of it."""

OUT_OF_RANGE = -2
"""What the loss answers to a target that is not in the vocabulary."""

_POINTER, _INT64, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float


_SEQUENCE = ("recurrent", "bias", "first_hidden", "first_cell", "gates", "cells", "outputs")


class _Sequence(ctypes.Structure):
    _fields_ = (
        *((name, _INT64) for name in ("batch", "length", "width")),
        *((name, _POINTER) for name in _SEQUENCE),
    )


class _Gradients(ctypes.Structure):
    _fields_ = tuple((name, _POINTER) for name in ("outputs", "gates", "hidden", "cell"))


class _Library(NamedTuple):
    functions: Any
    level: int


_ARGUMENTS: dict[str, list[Any]] = {
    "training_forwards": [ctypes.POINTER(_Sequence), _INT],
    "training_backwards": [ctypes.POINTER(_Sequence), ctypes.POINTER(_Gradients), _INT],
    "training_cross_entropy": [_POINTER, _INT64, _INT64, _POINTER, _FLOAT, _INT, _POINTER, _POINTER],
    "training_turn": [_POINTER, _INT64, _INT64, _POINTER, _INT64],
}
"""Each takes the number of threads besides."""


@lru_cache(maxsize=1)
def _library() -> _Library | None:
    """Loads what was built beside this file; its threads are those of the libgomp that PyTorch has loaded already."""
    for path in sorted(Path(__file__).parent.glob("_kernels*.so")):
        try:
            functions = ctypes.CDLL(str(path))
            if functions.training_interface() != INTERFACE or not (level := int(functions.training_level())):
                continue
            for name, arguments in _ARGUMENTS.items():
                getattr(functions, name).argtypes = [*arguments, ctypes.c_int]
            functions.training_turn.restype = None
        except (OSError, AttributeError):
            continue
        return _Library(functions, level)
    return None


def available() -> bool:
    """Whether the kernels were built, and this processor has what they need."""
    return _library() is not None


def use_kernels(model: nn.Module) -> bool:
    """Lets every LSTM layer of `model` that can learn by the kernels.

    Returns:
        Whether there are any kernels.
    """
    if not available():
        return False
    for module in model.modules():
        if isinstance(module, LstmLayer) and module.hidden_size % UNITS == 0:
            module.sequence_kernel = run_sequence
    return True


def run_sequence(
    inputs: Tensor, state: tuple[Tensor, Tensor], weights: list[Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Runs one layer over whole sequences, with products in bfloat16 and sums and cells in float32.

    Args:
        inputs: [B, T, I].
        state: The first hidden and cell, each [1, B, H].
        weights: From the inputs [4H, I] and recurrent [4H, H], and the biases of both [4H], as PyTorch has them.

    Returns:
        outputs [B, T, H] bfloat16, and the last hidden and cell, each [1, B, H].
    """
    (hidden, cell), (from_inputs, recurrent, bias, more) = state, weights
    with torch.autocast("cpu", enabled=False):
        outputs, last_cell = _Run.apply(  # type: ignore[no-untyped-call]
            inputs, hidden[0], cell[0], from_inputs, recurrent, bias + more
        )
    return outputs, (outputs[None, :, -1], last_cell[None])


class _Run(torch.autograd.Function):
    """The layer as one operation; what its way back needs is kept in bfloat16, but for the cells."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, hidden: Tensor, cell: Tensor, from_inputs: Tensor, recurrent: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the outputs [B, T, H] and the last cell [B, H]."""
        ctx.set_materialize_grads(False)
        narrow = torch.bfloat16
        ctx.dtypes = inputs.dtype, hidden.dtype, cell.dtype
        inputs, from_inputs = inputs.to(narrow).contiguous(), from_inputs.to(narrow)
        hidden, cell = hidden.to(narrow).contiguous(), cell.float().contiguous()
        recurrent, bias = recurrent.float().contiguous(), bias.float()
        gates = inputs @ from_inputs.t()  # [B, T, 4H], without the bias, which is better added in float32
        batch, length, _ = inputs.shape
        cells = torch.empty(batch, length, hidden.shape[1], dtype=torch.float32)
        outputs = torch.empty(cells.shape, dtype=narrow)
        sequence = _sequence(recurrent, bias, hidden, cell, gates, cells, outputs)
        library = _needed()
        _check(library.functions.training_forwards(sequence, library.level, torch.get_num_threads()))
        ctx.save_for_backward(inputs, from_inputs, recurrent, bias, hidden, cell, gates, cells, outputs)
        return outputs, cells[:, -1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_outputs: Tensor | None, by_last_cell: Tensor | None) -> tuple[Tensor | None, ...]:
        """Goes back through all steps, then makes the gradients of the inputs and the weights at once."""
        inputs, from_inputs, recurrent, bias, hidden, cell, gates, cells, outputs = ctx.saved_tensors
        by_outputs = torch.zeros_like(outputs) if by_outputs is None else by_outputs.to(outputs.dtype).contiguous()
        by_cell = (
            torch.zeros_like(cell)
            if by_last_cell is None
            else by_last_cell.float().clone(memory_format=torch.contiguous_format)
        )
        by_gates, by_hidden = torch.empty_like(gates), torch.empty_like(cell)
        sequence = _sequence(recurrent, bias, hidden, cell, gates, cells, outputs)
        gradients = _Gradients(*(part.data_ptr() for part in (by_outputs, by_gates, by_hidden, by_cell)))
        library = _needed()
        _check(library.functions.training_backwards(sequence, gradients, library.level, torch.get_num_threads()))
        rows, before = by_gates.flatten(0, 1), torch.cat([hidden[:, None], outputs[:, :-1]], dim=1).flatten(0, 1)
        turned_rows = turned(rows)
        inputs_dtype, hidden_dtype, cell_dtype = ctx.dtypes
        return (
            (by_gates @ from_inputs).to(inputs_dtype) if ctx.needs_input_grad[0] else None,
            by_hidden.to(hidden_dtype),
            by_cell.to(cell_dtype),
            (turned_rows @ inputs.flatten(0, 1)).float(),
            (turned_rows @ before).float(),
            rows.sum(dim=0, dtype=torch.float32),
        )


def _sequence(*parts: Tensor) -> _Sequence:
    """Points at what the fields name; the last but one are the cells, [B, T, H]."""
    return _Sequence(*parts[-2].shape, *(part.data_ptr() for part in parts))


def turned(matrix: Tensor) -> Tensor:
    """Returns `matrix` [N, any] bfloat16, dense, turned and laid out anew."""
    return turn(matrix, matrix.new_empty(matrix.shape[1], matrix.shape[0]))


def turn(matrix: Tensor, to: Tensor) -> Tensor:
    """Turns `matrix` [N, any] bfloat16, dense, into `to` [any, N], whose rows may be apart; returns that."""
    if to.shape != (matrix.shape[1], matrix.shape[0]) or to.stride(1) != 1 or not matrix.is_contiguous():
        raise ValueError(f"a matrix {tuple(matrix.shape)} cannot be turned into {tuple(to.shape)}.")
    _needed().functions.training_turn(
        *(matrix.data_ptr(), *matrix.shape, to.data_ptr(), to.stride(0), torch.get_num_threads())
    )
    return to


class Scores(NamedTuple):
    """What the loss says of rows of logits.

    Args:
        likelihood: Negative log-likelihood of each row's target. [N] float32
        gold_logits: [N] float32.
        grad_logits: The softmax, less something at the targets; None if not wanted. [N, V]
    """

    likelihood: Tensor
    gold_logits: Tensor
    grad_logits: Tensor | None


def cross_entropy(logits: Tensor, targets: Tensor, less: float, wants_gradient: bool) -> Scores:
    """Scores rows of logits.

    Args:
        logits: [N, V] bfloat16, dense; written over if the gradient is wanted.
        targets: [N] int64, from 0 to V - 1.
        less: Taken off the softmax at the targets for the gradient.
        wants_gradient: Whether there is to be one.

    Raises:
        IndexError: A target is not one of the V.
    """
    library, (rows, size) = _needed(), logits.shape
    targets = targets.contiguous()
    likelihood, gold = torch.empty(2, rows, dtype=torch.float32)
    _check(
        library.functions.training_cross_entropy(
            *(logits.data_ptr(), rows, size, targets.data_ptr(), less, wants_gradient),
            *(likelihood.data_ptr(), gold.data_ptr(), torch.get_num_threads()),
        )
    )
    return Scores(likelihood, gold, logits if wants_gradient else None)


def _needed() -> _Library:
    if (library := _library()) is None:
        raise RuntimeError("the kernels are not available here.")
    return library


def _check(failed: int) -> None:
    if failed == OUT_OF_RANGE:
        raise IndexError("a target is not in the vocabulary.")
    if failed:
        raise MemoryError("there is no memory for a training step.")
