"""Which source position a token came from, now that it is known which token it is.

Attention is asked before a token is written: it says where the model looks while several may still follow. Once the
token is known, Bayes says which of the places looked at speaks for it:

    posterior[t, s]  ~  attention[t, s] * exp(logit of token t, had the readout of step t seen position s alone)

The logit is what the readout gives with the whole attention on s; what the LSTM layers made of the context stays as it
was. It is not normalised over the vocabulary, which would cost a product with the whole table for each pair of
positions and is worth nothing (docs/decisions.md).

Letters: B sentences · T tokens · S source positions · E width of the readout.

Source: Shankar & Sarawagi 2019, "Posterior Attention Models for Sequence to Sequence Learning", who train with it; here
it is read off a model that was trained without.
"""

import torch
from torch import Tensor

LEAST_PRIOR = 1e-6
"""Share of attention that every position is taken to have had; below, a 0 of float32 could never be outvoted."""
MOST_AT_ONCE = 1 << 22  # numbers: 16 MB


def posterior_attention(prior: Tensor, states: Tensor, sources: Tensor, written: Tensor, padding: Tensor) -> Tensor:
    """Returns how much of each token came from each source position: [B, T, S], rows that add up to 1, 0 on padding.

    Args:
        prior: The attention that chose each token. [B, T, S] float32
        states: What the state added to the readout of each step, bias included. [B, T, E]
        sources: What each position adds to a readout that looks at nothing else. [B, S, E]
        written: Output embeddings of the tokens. [B, T, E]
        padding: True where there is no source token. [B, S] bool
    """
    scores = prior.clamp(min=LEAST_PRIOR).log_().add_(_logits_of_all(states, sources, written))
    return scores.masked_fill_(padding[:, None], -torch.inf).softmax(dim=2)


def _logits_of_all(states: Tensor, sources: Tensor, written: Tensor) -> Tensor:
    sentences = max(1, MOST_AT_ONCE // max(1, sources[:1].numel()))
    parts = zip(*(each.split(sentences) for each in (states, sources, written)), strict=True)
    return torch.cat([_logits(*part) for part in parts])


def _logits(states: Tensor, sources: Tensor, written: Tensor) -> Tensor:
    """The logit of each token at each step, had the readout seen one position alone: [B, T, S]."""
    steps = max(1, MOST_AT_ONCE // max(1, sources.numel()))
    parts = []
    for state, embedding in zip(states.split(steps, dim=1), written.split(steps, dim=1), strict=True):
        readouts = (state[:, :, None] + sources[:, None]).tanh_().flatten(0, 1)  # [B * T, S, E]
        found = torch.bmm(embedding.reshape(-1, 1, embedding.shape[2]), readouts.transpose(1, 2))
        parts.append(found.view(*state.shape[:2], -1))
    return torch.cat(parts, dim=1)
