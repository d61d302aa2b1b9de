"""Attention: a distribution over real tokens, checked where its value can be derived, and against a loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.translator.numpy_model import array, softmax
from translator.attention import Attention, Memory

lengths = st.lists(st.integers(1, 7), min_size=1, max_size=5)
heads = st.sampled_from([1, 2, 3, 6])
WIDTH, QUERY = 6, 5


def make(heads: int, *, seed: int = 0) -> Attention:
    torch.manual_seed(seed)
    return Attention(query_size=QUERY, memory_size=WIDTH, heads=heads).requires_grad_(False)


def mask_of(lengths: list[int]) -> Tensor:
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def remember(attention: Attention, lengths: list[int]) -> Memory:
    mask = mask_of(lengths)
    return look_back(attention, torch.randn(*mask.shape, WIDTH), mask)


def look_back(attention: Attention, encoder_outputs: Tensor, mask: Tensor) -> Memory:
    """A memory whose embeddings do not matter: attention never asks them."""
    return attention.remember(encoder_outputs, encoder_outputs, mask)


@settings(max_examples=50)
@given(lengths, heads, st.integers(1, 4), st.floats(0.01, 100))
def test_weights_are_a_distribution_over_real_tokens_and_zero_on_padding(
    lengths: list[int], heads: int, steps: int, loudness: float
) -> None:
    attention = make(heads)
    memory = remember(attention, lengths)
    _, weights = attention(torch.randn(len(lengths), steps, QUERY) * loudness, memory)
    assert weights.shape == (len(lengths), steps, max(lengths))
    assert (weights.transpose(1, 2)[~memory.mask] == 0).all()
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(len(lengths), steps))


@settings(max_examples=20)
@given(lengths, heads, st.integers(1, 3))
def test_context_and_weights_are_those_of_a_loop_over_sentences_and_heads(
    lengths: list[int], heads: int, steps: int
) -> None:
    attention = make(heads)
    memory = remember(attention, lengths)
    queries = torch.randn(len(lengths), steps, QUERY)
    context, weights = attention(queries, memory)
    width = WIDTH // heads
    for b, length in enumerate(lengths):
        values = array(memory.values[b, :length])
        asked, keys = array(queries[b]) @ array(attention.query.weight).T, values @ array(attention.key.weight).T
        per_head = []
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            per_head.append(softmax(asked[:, part] @ keys[:, part].T / np.sqrt(width)))
            np.testing.assert_allclose(context[b, :, part].numpy(), per_head[-1] @ values[:, part], atol=1e-5)
        np.testing.assert_allclose(weights[b, :, :length].numpy(), np.mean(per_head, axis=0), atol=1e-5)


@settings(max_examples=20)
@given(lengths, heads)
def test_a_query_of_nothing_looks_everywhere_alike(lengths: list[int], heads: int) -> None:
    attention = make(heads)
    memory = remember(attention, lengths)
    context, weights = attention(torch.zeros(len(lengths), 1, QUERY), memory)
    real = memory.mask.float()
    even = real / real.sum(dim=1, keepdim=True)
    torch.testing.assert_close(weights[:, 0], even)
    torch.testing.assert_close(context[:, 0], (even[..., None] * memory.values).sum(dim=1))


def test_a_query_that_shouts_a_key_gets_its_value() -> None:
    attention = Attention(query_size=4, memory_size=4, heads=1).requires_grad_(False)
    attention.query.weight.copy_(torch.eye(4))
    attention.key.weight.copy_(torch.eye(4))
    memory = look_back(attention, torch.eye(4)[None], torch.ones(1, 4, dtype=torch.bool))
    context, weights = attention(1000 * torch.eye(4)[None], memory)
    assert torch.equal(weights[0], torch.eye(4))
    assert torch.equal(context[0], torch.eye(4))


@pytest.mark.parametrize("heads", [2, 3, 6])
def test_heads_that_agree_are_one_head(heads: int) -> None:
    """h equal heads of width d are one head over their d features, if that makes up for scaling by sqrt(h * d)."""
    many, one, width = make(heads), make(1), WIDTH // heads
    for shared in (many.query.weight, many.key.weight):
        shared.copy_(shared[:width].repeat(heads, 1))
    one.query.weight.zero_()[:width] = many.query.weight[:width] * heads**0.5
    one.key.weight.zero_()[:width] = many.key.weight[:width]
    encoder_outputs, mask = torch.randn(3, 5, WIDTH), mask_of([5, 2, 3])
    queries = torch.randn(3, 4, QUERY)
    context, weights = many(queries, look_back(many, encoder_outputs, mask))
    one_context, one_weights = one(queries, look_back(one, encoder_outputs, mask))
    torch.testing.assert_close(weights, one_weights)
    torch.testing.assert_close(context, one_context)


def test_each_head_brings_its_own_slice_of_the_values() -> None:
    attention = make(2)
    memory = remember(attention, [4])
    queries = torch.randn(1, 3, QUERY)
    before, _ = attention(queries, memory)
    attention.query.weight[WIDTH // 2 :] += 1.0  # the second head asks something else
    after, _ = attention(queries, memory)
    assert torch.equal(before[..., : WIDTH // 2], after[..., : WIDTH // 2])
    assert not torch.allclose(before[..., WIDTH // 2 :], after[..., WIDTH // 2 :])


def test_all_steps_at_once_equal_one_after_another() -> None:
    attention = make(3)
    memory = remember(attention, [5, 1, 4])
    queries = torch.randn(3, 6, QUERY)
    together = attention(queries, memory)
    apart = [attention(queries[:, t : t + 1], memory) for t in range(6)]
    for part in (0, 1):
        torch.testing.assert_close(together[part], torch.cat([step[part] for step in apart], dim=1))


def test_whatever_stands_on_padding_even_nan_changes_nothing() -> None:
    attention = make(2)
    clean, mask = torch.randn(2, 5, WIDTH), mask_of([5, 3])
    dirty = clean.masked_fill(~mask[..., None], float("nan"))
    queries = torch.randn(2, 2, QUERY)
    for one, other in zip(
        attention(queries, look_back(attention, clean, mask)),
        attention(queries, look_back(attention, dirty, mask)),
        strict=True,
    ):
        assert torch.equal(one, other)
    memory = look_back(attention, dirty, mask)
    assert (memory.values[~mask] == 0).all()
    assert (memory.embedded[~mask] == 0).all()


def test_weights_stay_float32_where_the_rest_is_bfloat16() -> None:
    attention = make(2).bfloat16()
    memory = look_back(attention, torch.randn(1, 300, WIDTH).bfloat16(), torch.ones(1, 300, dtype=torch.bool))
    context, weights = attention(torch.randn(1, 1, QUERY).bfloat16(), memory)
    assert (context.dtype, weights.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
