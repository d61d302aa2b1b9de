"""What training minimises: label-smoothed cross-entropy over the tied softmax, and attention that misses its words.

The cross-entropy does not hold the whole [tokens, V] table:

    loss = sum over tokens of  (1 - epsilon) * -log p(y) + epsilon * mean over V of -log p(v)
    d loss / d logits = p - (1 - epsilon) * onehot(y) - epsilon / V

The gradient is known as soon as the probabilities are, so each chunk of rows is scored, turned into its gradient and
multiplied back while it is still in the cache; memory and traffic hardly grow with tokens times vocabulary. Over a
chunk go one softmax and two products and nothing else, and over many chunks one more product, for the gradient of the
table: the bias and its gradient are one more column of the products, and what epsilon / V adds to the gradients is
subtracted from their sums. With products in bfloat16 the probabilities are rounded to 8 bits too, before the one-hot
is subtracted.

Source: Szegedy et al. 2016, section 7 (label smoothing); Chen et al. 2016, "Guided Alignment Training for Topic-Aware
Neural Machine Translation", section 2.3.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from training import kernels

CHUNK_ROWS, CHUNK_STEP = 256, 16  # the most, and what sizes are multiples of
BLOCK_ROWS = 2048  # whose turned gradients wait for their product: 32 MB with 8,000 pieces
CHUNK_ROWS_CUDA = 8192
COLUMNS = 32  # what the units for matrices of bfloat16 take at once
SMALLEST_PROBABILITY = torch.finfo(torch.float32).tiny  # by PyTorch's operations a miss costs 87 nats at most
SMALLEST_SHARE = 1e-6  # of attention, so that a miss costs 13.8 nats at most


class TokenLoss(NamedTuple):
    """Sums over the real tokens of a batch.

    Args:
        smoothed: What training minimises; carries the gradient.
        negative_log_likelihood: Without smoothing; exp of its mean is the perplexity. Carries no gradient.
    """

    smoothed: Tensor
    negative_log_likelihood: Tensor


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Forward also makes the gradients; backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any,
        readout: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        counted: Tensor,
        real: Tensor | None,
        label_smoothing: float,
        wants_gradient: bool,
    ) -> tuple[Tensor, Tensor]:
        """Sums the losses of `readout` [N, E] against `targets` [N] under `weight` [V, E] and `bias` [V].

        Only the rows `real` are looked at, [any]; None is all. Of these, rows whose `counted` [N] is 0 and whose
        readout is 0 add nothing: neither to a sum nor to a gradient.
        """
        ctx.rows = len(readout)
        if real is not None:
            readout, targets, counted = (part.index_select(0, real) for part in (readout, targets, counted))
        vocab_size, width = weight.shape
        chunk, more = (CHUNK_ROWS_CUDA, 0) if readout.is_cuda else _whole_chunks(len(readout))
        rows, wanted, share = _filled_up(readout, targets, counted, more)
        table = _beside(weight.to(readout.dtype), bias)  # [V, E + 32]
        pull = label_smoothing / vocab_size
        # What smoothing adds is the same for every row, or for every piece: it waits for the end.
        table_sum = _beside(weight.sum(dim=0, keepdim=True), bias.sum(dim=0, keepdim=True))[0]  # [E + 32]
        mean_logits = rows.float() @ table_sum / vocab_size
        by_kernels = readout.device.type == "cpu" and readout.dtype == torch.bfloat16 and kernels.available()
        score = kernels.cross_entropy if by_kernels else _cross_entropy
        grad_readout = torch.empty_like(rows[:, :width]) if wants_gradient else None
        table_gradient = _GradientByBlocks if by_kernels else _GradientByChunks
        grad_table = table_gradient(rows, vocab_size) if wants_gradient else None
        nll = torch.empty_like(share)
        smoothed = torch.empty_like(share)
        logits = rows.new_empty(min(chunk, len(rows)), vocab_size)  # one room for all, which stays in the cache
        for start in range(0, len(rows), chunk):
            part = slice(start, min(start + chunk, len(rows)))
            torch.mm(rows[part], table.t(), out=logits[: part.stop - start])
            scores = score(logits[: part.stop - start], wanted[part], 1 - label_smoothing, wants_gradient)
            nll[part] = scores.likelihood
            smoothed[part] = nll[part] + label_smoothing * (scores.gold_logits - mean_logits[part])
            if grad_readout is not None and grad_table is not None and scores.grad_logits is not None:  # less `pull`
                torch.mm(scores.grad_logits, table[:, :width], out=grad_readout[part])
                grad_table.add(scores.grad_logits, part)
        if grad_readout is not None and grad_table is not None:
            grad_readout -= (pull * table_sum[:width]).to(table.dtype)
            grad_readout *= share[:, None].to(table.dtype)
            summed = grad_table.sum().sub_(pull * rows.sum(dim=0, dtype=torch.float32))
            ctx.save_for_backward(grad_readout[: len(readout)], summed[:, :width], summed[:, width], real)
        likelihood = nll @ share
        ctx.mark_non_differentiable(likelihood)
        return smoothed @ share, likelihood

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Scales the gradients made in the forward pass."""
        grad_readout, grad_weight, grad_bias, real = ctx.saved_tensors
        scale = grad_output.to(grad_weight.dtype)
        grad_readout = grad_readout * scale.to(grad_readout.dtype)
        if real is not None:
            everywhere = grad_readout.new_zeros(ctx.rows, grad_readout.shape[1])
            grad_readout = everywhere.index_copy_(0, real, grad_readout)
        return grad_readout, grad_weight * scale, grad_bias * scale, None, None, None, None, None


class _GradientByChunks:
    """The gradient of the table from the rows [N, E + 32] that were multiplied with it: a product a chunk."""

    def __init__(self, rows: Tensor, vocab_size: int) -> None:
        self._rows = rows
        self._sum = torch.zeros(vocab_size, rows.shape[1], device=rows.device)

    def add(self, grad_logits: Tensor, part: slice) -> None:
        """Takes the gradient of the logits, [rows of the part, V], of a part of the rows."""
        self._sum += grad_logits.t() @ self._rows[part]

    def sum(self) -> Tensor:
        """Returns [V, E + 32] float32."""
        return self._sum


class _GradientByBlocks:
    """The same with a product for many chunks: to add up tables of a chunk each moves more memory than all else."""

    def __init__(self, rows: Tensor, vocab_size: int) -> None:
        self._rows = rows
        self._turned = rows.new_empty(vocab_size, max(CHUNK_ROWS, min(BLOCK_ROWS, len(rows))))
        self._first = 0  # row of the block
        self._sum: Tensor | None = None

    def add(self, grad_logits: Tensor, part: slice) -> None:
        if part.stop - self._first > self._turned.shape[1]:
            self._multiply(part.start)
        kernels.turn(grad_logits, self._turned[:, part.start - self._first : part.stop - self._first])

    def sum(self) -> Tensor:
        return self._multiply(len(self._rows))

    def _multiply(self, past: int) -> Tensor:
        block = (self._turned[:, : past - self._first] @ self._rows[self._first : past]).float()
        self._sum = block if self._sum is None else self._sum.add_(block)
        self._first = past
        return self._sum


def _cross_entropy(logits: Tensor, targets: Tensor, less: float, wants_gradient: bool) -> kernels.Scores:
    """What `kernels.cross_entropy` does, by PyTorch's operations."""
    golden = torch.arange(len(logits), device=logits.device), targets
    probabilities = logits.softmax(dim=-1)
    gold = probabilities[golden]
    likelihood = -gold.float().clamp_min(SMALLEST_PROBABILITY).log()
    if wants_gradient:
        probabilities[golden] = gold - less
    return kernels.Scores(likelihood, logits[golden].float(), probabilities if wants_gradient else None)


def _whole_chunks(rows: int) -> tuple[int, int]:
    """Cuts rows into chunks of one size: how large they are, and how many rows more they have room for.

    On a CPU a product of a new shape costs the making of a kernel, which is more than the product; so sizes go by
    sixteens, and a batch has chunks of one.
    """
    chunks = max(1, -(-rows // CHUNK_ROWS))
    size = max(1, -(-rows // chunks))
    if size > CHUNK_STEP:
        size += -size % CHUNK_STEP
    return size, chunks * size - rows


def _filled_up(readout: Tensor, targets: Tensor, counted: Tensor, more: int) -> tuple[Tensor, Tensor, Tensor]:
    """Puts empty rows behind.

    Returns:
        rows [N', E + 32], the count of each in the first column behind the readout; targets [N']; counted [N'].
    """
    pad = nn.functional.pad
    return _beside(readout, counted, more), pad(targets, (0, more)), pad(counted, (0, more))


def _beside(matrix: Tensor, column: Tensor, more: int = 0) -> Tensor:
    """Puts a column [N] behind a matrix [N, E] for one product of both; then 31 empty ones, and `more` empty rows."""
    rows, width = matrix.shape
    wide = matrix.new_zeros(rows + more, width + COLUMNS)
    wide[:rows, :width] = matrix
    wide[:rows, width] = column
    return wide


def token_loss(
    readout: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, mask: Tensor, *, label_smoothing: float
) -> TokenLoss:
    """Sums the loss over real tokens; padding counts nothing and receives no gradient.

    Args:
        readout: [B, T, E], in the precision the products should run in.
        weight: [V, E] float32, the embedding table.
        bias: [V] float32.
        targets: [B, T] int64.
        mask: [B, T] bool, True for a real token.
        label_smoothing: epsilon, 0 is off.
    """
    wants_gradient = torch.is_grad_enabled() and (readout.requires_grad or weight.requires_grad)
    rows, real = readout.flatten(0, 1), None
    if readout.is_cuda:  # to pick the real rows out would make the host wait; the others count nothing instead
        rows = rows.masked_fill(~mask.view(-1, 1), 0.0)
    else:
        real = mask.flatten().nonzero()[:, 0]
    with torch.autocast(readout.device.type, enabled=False):
        smoothed, likelihood = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            rows, weight, bias, targets.flatten(), mask.flatten().float(), real, label_smoothing, wants_gradient
        )
    return TokenLoss(smoothed, likelihood)


def alignment_loss(attention_weights: Tensor, guides: Tensor) -> Tensor:
    """Sums, over the target pieces that are told where to look, -log of the attention that rests there.

        loss = sum over told t of  -log(sum over s in first..last of attention[t, s])

    Chen et al. compare attention with a distribution; here how it is shared out among the pieces of a word is left to
    the model. Of several heads the mean is told.

    Args:
        attention_weights: [B, T, S].
        guides: [B, T, 2], the first and the last source position for each target position, or -1, -1 for none.
    """
    positions = torch.arange(attention_weights.shape[-1], device=guides.device)
    linked = (positions >= guides[..., :1]) & (positions <= guides[..., 1:])  # [B, T, S]
    share = (attention_weights * linked).sum(dim=-1)
    told = guides[..., 0] >= 0
    return -(share + SMALLEST_SHARE).log().masked_fill(~told, 0.0).sum()
