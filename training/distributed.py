"""Several processes, one run: what `torchrun` started, or just this process.

Every worker holds the whole model and the same plan of batches, takes its share of each update's batches, and adds its
gradients to those of the others. As losses are divided by the update's *total* tokens, which every worker knows from
the plan, the sum is exactly the gradient one process would have computed.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed
from torch.nn import Parameter

PATIENCE = timedelta(hours=6)  # the others wait while one of them validates


@dataclass(frozen=True)
class Workers:
    """This process among its like.

    Args:
        rank: 0 to size - 1; 0 validates, saves and speaks.
        size: Processes.
        device: Where this one computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def add_gradients(self, parameters: Iterable[Parameter]) -> None:
        """Replaces every gradient by its sum over all workers."""
        if self.size > 1:
            for parameter in parameters:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                distributed.all_reduce(parameter.grad)

    def agree(self, flag: bool) -> bool:
        """Returns whether any worker says yes."""
        if self.size == 1:
            return flag
        answer = torch.tensor([float(flag)], device=self.device)
        distributed.all_reduce(answer)
        return bool(answer.item())

    def broadcast(self, number: float) -> float:
        """Returns what rank 0 passed in."""
        if self.size == 1:
            return number
        answer = torch.tensor([number], dtype=torch.float64, device=self.device)
        distributed.broadcast(answer, src=0)
        return float(answer.item())


@contextmanager
def workers() -> Iterator[Workers]:
    """Joins the processes that `torchrun` started (it sets WORLD_SIZE); without it, a company of one."""
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if size > 1:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Workers(rank, size, device)
    finally:
        if size > 1:
            distributed.destroy_process_group()
