"""The chunked loss against PyTorch's plain one, in value and in gradient."""

from math import log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from training import loss
from training.loss import TokenLoss, alignment_loss, token_loss

BATCH, STEPS, WIDTH, VOCAB = 3, 7, 5, 11
CHUNKS = [pytest.param(1, id="row by row"), pytest.param(4, id="a rest at the end"), pytest.param(512, id="at once")]


class Case:
    """A readout, a table, and targets of which some are padding."""

    def __init__(self, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        random = torch.Generator().manual_seed(seed)
        self.readout = torch.randn(BATCH, STEPS, WIDTH, generator=random).to(dtype).requires_grad_()
        self.weight = torch.randn(VOCAB, WIDTH, generator=random).requires_grad_()
        self.bias = torch.randn(VOCAB, generator=random).requires_grad_()
        self.targets = torch.randint(VOCAB, (BATCH, STEPS), generator=random)
        lengths = torch.randint(1, STEPS + 1, (BATCH, 1), generator=random)
        self.mask = torch.arange(STEPS) < lengths

    def loss(self, label_smoothing: float) -> TokenLoss:
        return token_loss(
            self.readout, self.weight, self.bias, self.targets, self.mask, label_smoothing=label_smoothing
        )

    def oracle(self, label_smoothing: float) -> Tensor:
        logits = functional.linear(self.readout.float(), self.weight, self.bias)  # [B, T, V]
        return functional.cross_entropy(
            logits[self.mask], self.targets[self.mask], label_smoothing=label_smoothing, reduction="sum"
        )

    def gradients(self, value: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(value, [self.readout, self.weight, self.bias]))


@pytest.mark.parametrize("chunk", CHUNKS)
@given(seed=st.integers(0, 2**32), label_smoothing=st.sampled_from([0.0, 0.1, 0.9]), scale=st.sampled_from([1.0, 0.01]))
@settings(max_examples=10)
def test_value_and_gradient_are_those_of_the_plain_loss(
    chunk: int, seed: int, label_smoothing: float, scale: float
) -> None:
    case = Case(seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss, "CHUNK_ROWS", chunk)
        found = case.loss(label_smoothing)
    expected = case.oracle(label_smoothing)
    torch.testing.assert_close(found.smoothed, expected)
    torch.testing.assert_close(found.negative_log_likelihood, case.oracle(0.0))
    for one, other in zip(case.gradients(scale * found.smoothed), case.gradients(scale * expected), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("chunk", CHUNKS)
def test_padding_counts_nothing_and_receives_no_gradient(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "CHUNK_ROWS", chunk)
    case, spoilt = Case(seed=3), Case(seed=3)
    assert not case.mask.all()
    with torch.no_grad():
        spoilt.readout[~case.mask] = torch.nan
    spoilt.targets[~case.mask] = 0
    one, other = case.loss(0.1), spoilt.loss(0.1)
    assert torch.equal(one.smoothed, other.smoothed)
    assert torch.equal(one.negative_log_likelihood, other.negative_log_likelihood)
    gradients, spoilt_gradients = case.gradients(one.smoothed), spoilt.gradients(other.smoothed)
    for gradient, spoilt_gradient in zip(gradients, spoilt_gradients, strict=True):
        assert torch.equal(gradient, spoilt_gradient)
    assert not gradients[0][~case.mask].any()


@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
def test_who_knows_nothing_pays_the_logarithm_of_the_vocabulary(label_smoothing: float) -> None:
    case = Case()
    with torch.no_grad():
        case.weight.zero_()
        case.bias.fill_(0.7)
    found, tokens = case.loss(label_smoothing), int(case.mask.sum())
    assert found.smoothed.item() == pytest.approx(tokens * log(VOCAB), rel=1e-6)
    assert found.negative_log_likelihood.item() == pytest.approx(tokens * log(VOCAB), rel=1e-6)


def test_the_likelihood_carries_no_gradient() -> None:
    found = Case().loss(0.1)
    assert found.smoothed.requires_grad
    assert not found.negative_log_likelihood.requires_grad


def test_nothing_is_prepared_when_no_gradient_is_wanted() -> None:
    case = Case()
    with torch.no_grad():
        found = case.loss(0.1)
    assert not found.smoothed.requires_grad
    torch.testing.assert_close(found.smoothed, case.oracle(0.1).detach())


def test_a_frozen_table_still_passes_the_gradient_on() -> None:
    case = Case()
    expected = torch.autograd.grad(case.oracle(0.1), case.readout)[0]
    case.weight.requires_grad_(False)
    case.bias.requires_grad_(False)
    torch.testing.assert_close(torch.autograd.grad(case.loss(0.1).smoothed, case.readout)[0], expected)


def test_with_bfloat16_products_the_loss_stays_close() -> None:
    case = Case(dtype=torch.bfloat16)
    found, expected = case.loss(0.1), case.oracle(0.1)
    assert found.smoothed.dtype == torch.float32
    torch.testing.assert_close(found.smoothed, expected, rtol=0.01, atol=0.01)
    for one, other in zip(case.gradients(found.smoothed), case.gradients(expected), strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)


def test_autocast_does_not_reach_into_the_loss() -> None:
    case = Case()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = case.loss(0.1)
    assert torch.equal(found.smoothed, case.loss(0.1).smoothed)


def test_attention_that_misses_its_words_costs_the_log_of_what_rests_on_them() -> None:
    attention = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [1.0, 0.0, 0.0]]], requires_grad=True)  # [1, 3, 3]
    guides = torch.tensor([[[0, 1], [2, 2], [-1, -1]]])
    found = alignment_loss(attention, guides)
    assert found.item() == pytest.approx(-log(0.5 + 0.3) - log(0.7), rel=1e-4)
    (gradient,) = torch.autograd.grad(found, attention)
    # only what rests on the words counts, however it is shared out; a position that is told nothing has no say
    expected = [[-1 / 0.8, -1 / 0.8, 0], [0, 0, -1 / 0.7], [0, 0, 0]]
    torch.testing.assert_close(gradient, torch.tensor([expected]), rtol=1e-4, atol=1e-6)


def test_attention_that_misses_altogether_still_has_a_gradient() -> None:
    attention = torch.tensor([[[1.0, 0.0]]], requires_grad=True)
    found = alignment_loss(attention, torch.tensor([[[1, 1]]]))
    (gradient,) = torch.autograd.grad(found, attention)
    assert found.isfinite()
    assert gradient[0, 0, 0] == 0 > gradient[0, 0, 1]
