"""What is dropped: as much as was asked for, evenly, and the same for the same state of the generator."""

from math import sqrt

import pytest
import torch

from translator.dropout import dropout_mask

CPU = torch.device("cpu")


@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.9])
def test_as_much_is_dropped_as_was_asked_for_and_the_rest_makes_up_for_it(probability: float) -> None:
    torch.manual_seed(3)
    mask = dropout_mask((400, 1, 501), probability, device=CPU)
    assert mask.shape == (400, 1, 501)
    assert set(mask.unique().tolist()) == {0.0, torch.tensor(1 / (1 - probability)).item()}
    spread = sqrt(probability * (1 - probability) / mask.numel())
    assert float((mask == 0).float().mean()) == pytest.approx(probability, abs=5 * spread + 2**-17)


def test_every_place_is_as_likely_as_its_neighbours() -> None:
    """Four numbers are cut out of each draw: none of the four may be dropped more often."""
    torch.manual_seed(4)
    dropped = (dropout_mask((40_000, 4), 0.3, device=CPU) == 0).float()
    assert dropped.mean(dim=0).tolist() == pytest.approx([0.3] * 4, abs=0.012)  # five standard deviations
    assert abs(float(torch.corrcoef(dropped.T)[0, 1])) < 0.025


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_any_size_will_do(size: int) -> None:
    assert dropout_mask((size,), 0.5, device=CPU).shape == (size,)


def test_the_same_generator_draws_the_same() -> None:
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(dropout_mask((50, 50), 0.5, device=CPU))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
