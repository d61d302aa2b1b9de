"""One process as a company of one, and what a single worker of several does.

Two real processes under `torchrun` are in tests/integration.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from tests.training.small_run import make_trainer
from training.batching import plan_epoch
from training.distributed import Workers, workers
from training.trainer import Trainer


@pytest.fixture(autouse=True)
def no_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("RANK", raising=False)


def test_a_process_by_itself_is_a_company_of_one() -> None:
    with workers() as company:
        assert (company.rank, company.size, company.leads) == (0, 1, True)
        assert not torch.distributed.is_initialized()


def test_one_agrees_with_oneself() -> None:
    alone, parameter = Workers(0, 1, torch.device("cpu")), Parameter(torch.ones(2))
    assert alone.agree(True)
    assert not alone.agree(False)
    assert alone.broadcast(0.1) == 0.1
    alone.add_gradients([parameter])
    assert parameter.grad is None


class FellowWithoutTokens(Workers):
    """One of two, whose fellow's gradients are nought."""

    def add_gradients(self, parameters: Iterable[Parameter]) -> None:
        pass


def one_of_two(folder: Path, *, rank: int, **training: Any) -> Trainer:
    company = FellowWithoutTokens(rank, 2, torch.device("cpu"))
    return make_trainer(folder, workers=company, dropout=0.5, token_dropout=0.3, **training)


def embeddings_after_an_update(trainer: Trainer, generator_seed: int) -> torch.Tensor:
    plan = plan_epoch(trainer.dataset, batch_tokens=40, seed=1, epoch=0)
    torch.manual_seed(generator_seed)
    trainer.update(plan[:1] * 2)  # the same batch for either worker
    return trainer.model.embedding.weight.detach()


def test_all_workers_start_from_the_same_weights(tmp_path: Path) -> None:
    one, other = (one_of_two(tmp_path, rank=rank).model.state_dict() for rank in (0, 1))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_workers_drop_other_units(tmp_path: Path) -> None:
    one, other = (embeddings_after_an_update(one_of_two(tmp_path, rank=rank), 1) for rank in (0, 1))
    assert not torch.equal(one, other)


def test_what_a_follower_drops_depends_on_the_step_alone_so_that_a_resume_is_exact(tmp_path: Path) -> None:
    one, other = (embeddings_after_an_update(one_of_two(tmp_path, rank=1), seed) for seed in (1, 2))
    assert torch.equal(one, other)


def test_a_follower_drops_other_units_at_every_step(tmp_path: Path) -> None:
    trainer = one_of_two(tmp_path, rank=1, learning_rate=0.0)
    gradients: list[Tensor] = []

    def keep(*_: object) -> None:
        gradient = trainer.model.embedding.weight.grad
        assert gradient is not None
        gradients.append(gradient.clone())

    trainer.optimizer.register_step_pre_hook(keep)
    for _ in range(2):
        embeddings_after_an_update(trainer, 1)
    assert not torch.equal(*gradients)
