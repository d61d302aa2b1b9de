"""How many threads a process computes with: one number for the kernels and for PyTorch, which share OpenMP's."""

import os
import sys

_chosen: int | None = None


def thread_count() -> int:
    """Returns what was set last; else what PyTorch was told, where it is loaded; else what the machine has."""
    if _chosen is not None:
        return _chosen
    if (torch := sys.modules.get("torch")) is not None:
        return int(torch.get_num_threads())
    return threads_to_share()


def set_thread_count(count: int) -> None:
    """Lets this process compute with so many threads, at least 1; PyTorch too, where it is loaded."""
    global _chosen
    _chosen = count
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(count)


def tell_pytorch() -> None:
    """Tells PyTorch, which may have been loaded since, what was set."""
    if _chosen is not None:
        set_thread_count(_chosen)


def threads_to_share() -> int:
    """Returns how many threads this process may use: what OMP_NUM_THREADS says, else a thread a core."""
    told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if told.isdigit() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
