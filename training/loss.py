"""What training minimises: label-smoothed cross-entropy over the tied softmax, and attention that misses its words.

The cross-entropy never holds the whole [tokens, V] table:

    loss = sum over tokens of  (1 - epsilon) * -log p(y) + epsilon * mean over V of -log p(v)
    d loss / d logits = p - (1 - epsilon) * onehot(y) - epsilon / V

The gradient is known as soon as the probabilities are, so each chunk of rows is scored, turned into its gradient and
multiplied back while it is still in the cache; memory and traffic no longer grow with tokens times vocabulary.

Source: Szegedy et al. 2016, section 7 (label smoothing); Chen et al. 2016, "Guided Alignment Training for Topic-Aware
Neural Machine Translation", section 2.3.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

CHUNK_ROWS = 512
CHUNK_ROWS_CUDA = 8192
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
        label_smoothing: float,
        wants_gradient: bool,
    ) -> tuple[Tensor, Tensor]:
        """Sums the losses of `readout` [N, E] against `targets` [N] under `weight` [V, E] and `bias` [V].

        Rows whose `counted` [N] is 0 and whose readout is 0 add nothing: neither to a sum nor to a gradient.
        """
        vocab_size = len(weight)
        table = weight.to(readout.dtype)
        grad_readout = torch.empty_like(readout) if wants_gradient else None
        grad_weight = torch.zeros_like(weight) if wants_gradient else None
        grad_bias = torch.zeros_like(bias) if wants_gradient else None
        smoothed, likelihood = readout.new_zeros((), dtype=torch.float32), readout.new_zeros((), dtype=torch.float32)
        chunk = CHUNK_ROWS_CUDA if readout.is_cuda else CHUNK_ROWS
        for start in range(0, len(readout), chunk):
            part = slice(start, start + chunk)
            rows, wanted, share = readout[part], targets[part, None], counted[part]
            logits = torch.addmm(bias.to(rows.dtype), rows, table.t())  # [N, V]
            log_probs = logits.log_softmax(dim=-1, dtype=torch.float32)
            nll = -(log_probs.gather(1, wanted)[:, 0] @ share)
            likelihood += nll
            smoothed += (1 - label_smoothing) * nll
            if label_smoothing:
                smoothed -= label_smoothing / vocab_size * (log_probs.sum(dim=1) @ share)
            if grad_readout is None or grad_weight is None or grad_bias is None:
                continue
            grad_logits = log_probs.exp_().sub_(label_smoothing / vocab_size)
            grad_logits.scatter_add_(1, wanted, torch.full_like(wanted, label_smoothing - 1, dtype=torch.float32))
            grad_bias += share @ grad_logits
            grad_logits = grad_logits.to(rows.dtype)
            torch.mm(grad_logits, table, out=grad_readout[part])
            grad_readout[part] *= share[:, None].to(rows.dtype)
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
        scaled = grad_readout * scale.to(grad_readout.dtype), grad_weight * scale, grad_bias * scale
        return *scaled, None, None, None, None


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
    # To pick the real rows out would make a host wait for its device and cost a copy; the others count nothing instead.
    rows, counted = readout.masked_fill(~mask[..., None], 0.0).flatten(0, 1), mask.flatten().float()
    with torch.autocast(readout.device.type, enabled=False):
        smoothed, likelihood = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            rows, weight, bias, targets.flatten(), counted, label_smoothing, wants_gradient
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
