"""How many threads a process computes with: one number for the kernels and for PyTorch, which share OpenMP's.

PyTorch keeps the number where it is loaded; before, it is kept here, and told to PyTorch when it is first seen.
"""

import os
import sys
from functools import cache
from typing import Any

_chosen: int | None = None


def thread_count() -> int:
    """Returns what was set last, by `set_thread_count` or `torch.set_num_threads`; else what the machine has."""
    global _chosen
    if (torch := _pytorch()) is None:
        return _usual() if _chosen is None else _chosen
    if (chosen := _chosen) is not None:  # said before PyTorch was there
        torch.set_num_threads(chosen)
        _chosen = None
    return int(torch.get_num_threads())


def set_thread_count(count: int) -> None:
    """Lets this process compute with so many threads, at least 1; PyTorch too, whenever it is loaded."""
    global _chosen
    _chosen = count
    thread_count()


@cache
def _usual() -> int:
    """What the machine has, asked once, as OpenMP asks once: every call of a kernel wants to know."""
    return threads_to_share()


def _pytorch() -> Any:
    """PyTorch, if it is loaded; not while another thread is still loading it."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "get_num_threads") and hasattr(torch, "set_num_threads") else None


def threads_to_share() -> int:
    """Returns how many threads this process may use: what OMP_NUM_THREADS says, else a thread a core."""
    told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if told.isdigit() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
