"""Outcomes are read in order: at once on a CPU, one update later on a GPU, and all of them before anything is saved."""

import pytest
import torch
from torch import tensor

from training.outcomes import Outcomes
from translator.errors import TrainingError


@pytest.mark.parametrize(("device", "expected"), [("cpu", [1.5, 2.5, 3.5]), ("cuda", [None, 1.5, 2.5])])
def test_a_gpu_is_asked_for_the_update_before(device: str, expected: list[float]) -> None:
    outcomes, read = Outcomes(torch.device(device)), []
    for step, loss in enumerate((1.5, 2.5, 3.5), start=1):
        outcomes.add(step, tensor(1.0), tensor(loss))
        read.append(outcomes.loss)
    assert read == expected
    outcomes.settle()
    assert outcomes.loss == 3.5


@pytest.mark.parametrize("norm", [torch.nan, torch.inf])
def test_a_gradient_that_is_not_finite_is_told_with_its_step_and_never_saved(norm: float) -> None:
    outcomes = Outcomes(torch.device("cuda"))
    outcomes.add(7, tensor(norm), tensor(1.0))
    with pytest.raises(TrainingError, match=r"The gradient of step 7 is not finite: the run diverged"):
        outcomes.settle()
