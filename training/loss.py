"""Label-smoothed cross-entropy over the tied softmax, without ever holding the whole [tokens, V] table.

    loss = sum over tokens of  (1 - epsilon) * -log p(y) + epsilon * mean over V of -log p(v)
    d loss / d logits = p - (1 - epsilon) * onehot(y) - epsilon / V

A batch may hold every sequence twice, each with a dropout of its own; what its two readings p and q of a token
disagree about can be made part of the loss:

    loss += alpha / 2 * (KL(p | q) + KL(q | p))
    d loss / d logits of p = alpha / 2 * (p * (log p - log q - KL(p | q)) + p - q)

The gradient is known as soon as the probabilities are, so each chunk of rows is scored, turned into its gradient and
multiplied back while it is still in the cache; memory and traffic no longer grow with tokens times vocabulary.

Source: Szegedy et al. 2016, section 7 (label smoothing); Liang et al. 2021, section 2 (R-Drop, the agreement of two
readings).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

CHUNK_ROWS = 512
CHUNK_ROWS_CUDA = 8192


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
        label_smoothing: float,
        agreement: float,
        wants_gradient: bool,
    ) -> tuple[Tensor, Tensor]:
        """Sums the losses of `readout` [N, E] against `targets` [N] under `weight` [V, E] and `bias` [V].

        With `agreement` the second half of the N rows is the second reading of the first half.
        """
        vocab_size = len(weight)
        table = weight.to(readout.dtype)
        grad_readout = torch.empty_like(readout) if wants_gradient else None
        grad_weight = torch.zeros_like(weight) if wants_gradient else None
        grad_bias = torch.zeros_like(bias) if wants_gradient else None
        smoothed, likelihood = readout.new_zeros((), dtype=torch.float32), readout.new_zeros((), dtype=torch.float32)
        chunk = CHUNK_ROWS_CUDA if readout.is_cuda else CHUNK_ROWS
        for chosen in _chunks(len(readout), chunk, twice=agreement > 0, device=readout.device):
            rows, wanted = readout[chosen], targets[chosen, None]
            logits = torch.addmm(bias.to(rows.dtype), rows, table.t())  # [N, V]
            log_probs = logits.log_softmax(dim=-1, dtype=torch.float32)
            nll = -log_probs.gather(1, wanted).sum()
            likelihood += nll
            smoothed += (1 - label_smoothing) * nll
            if label_smoothing:
                smoothed -= label_smoothing / vocab_size * log_probs.sum()
            pull = None
            if agreement:
                disagreement, pull = _disagreement(log_probs)
                smoothed += agreement * disagreement
            if grad_readout is None or grad_weight is None or grad_bias is None:
                continue
            grad_logits = log_probs.exp_().sub_(label_smoothing / vocab_size)
            grad_logits.scatter_add_(1, wanted, torch.full_like(wanted, label_smoothing - 1, dtype=torch.float32))
            if pull is not None:
                grad_logits.add_(pull, alpha=agreement)
            grad_bias += grad_logits.sum(dim=0)
            grad_logits = grad_logits.to(rows.dtype)
            grad_readout[chosen] = grad_logits @ table
            grad_weight += grad_logits.t() @ rows
        if grad_readout is not None and grad_weight is not None and grad_bias is not None:
            ctx.save_for_backward(grad_readout, grad_weight, grad_bias)
        ctx.mark_non_differentiable(likelihood)
        return smoothed, likelihood

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Scales the gradients made in the forward pass."""
        grad_readout, grad_weight, grad_bias = ctx.saved_tensors
        scale = grad_output.to(grad_weight.dtype)
        gradients = grad_readout * scale.to(grad_readout.dtype), grad_weight * scale, grad_bias * scale
        return *gradients, None, None, None, None, None


def _chunks(rows: int, size: int, *, twice: bool, device: torch.device) -> Iterator[slice | Tensor]:
    """Cuts `rows` into runs of at most `size`; those of two readings are a run of the first and its twin."""
    if not twice:
        yield from (slice(start, start + size) for start in range(0, rows, size))
        return
    half = rows // 2
    for start in range(0, half, step := max(1, size // 2)):
        first = torch.arange(start, min(start + step, half), device=device)
        yield torch.cat([first, first + half])


def _disagreement(log_probs: Tensor) -> tuple[Tensor, Tensor]:
    """Sums half the symmetric divergence of two readings, `log_probs` [2N, V]; with its gradient by the logits."""
    p, q = log_probs.exp().chunk(2)
    apart = torch.sub(*log_probs.chunk(2))  # log p - log q
    from_q, from_p = (p * apart).sum(dim=-1, keepdim=True), -(q * apart).sum(dim=-1, keepdim=True)  # KL(p|q), KL(q|p)
    changed = p - q
    pull_p = torch.addcmul(changed, p, apart - from_q)
    pull_q = torch.addcmul(-changed, q, -apart - from_p)
    return (from_q + from_p).sum() / 2, torch.cat([pull_p, pull_q]) / 2


def token_loss(
    readout: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    mask: Tensor,
    *,
    label_smoothing: float,
    agreement: float = 0.0,
) -> TokenLoss:
    """Sums the loss over real tokens; padding counts nothing and receives no gradient.

    Args:
        readout: [B, T, E], in the precision the products should run in.
        weight: [V, E] float32, the embedding table.
        bias: [V] float32.
        targets: [B, T] int64.
        mask: [B, T] bool, True for a real token.
        label_smoothing: epsilon, 0 is off.
        agreement: alpha, 0 is off; otherwise row B / 2 + i of the batch is the second reading of row i.
    """
    wants_gradient = torch.is_grad_enabled() and (readout.requires_grad or weight.requires_grad)
    with torch.autocast(readout.device.type, enabled=False):
        smoothed, likelihood = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            readout[mask], weight, bias, targets[mask], label_smoothing, agreement, wants_gradient
        )
    return TokenLoss(smoothed, likelihood)
