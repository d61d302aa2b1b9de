"""One number of threads for a process, whoever asks first."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from translator import threads
from translator.threads import threads_to_share

WAYS = """
from translator.threads import set_thread_count, thread_count
found = [thread_count()]
{first}
found.append(thread_count())
import torch
found += [thread_count(), torch.get_num_threads()]
set_thread_count(2)
found += [thread_count(), torch.get_num_threads()]
torch.set_num_threads(6)
found += [thread_count(), torch.get_num_threads()]
print(*found)
"""


@pytest.mark.parametrize(
    ("first", "counts"),
    [("set_thread_count(5)", "3 5 5 5 2 2 6 6"), ("import torch; torch.set_num_threads(4)", "3 4 4 4 2 2 6 6")],
)
def test_what_was_said_last_holds_for_the_kernels_and_for_pytorch(first: str, counts: str) -> None:
    told = os.environ | {"OMP_NUM_THREADS": "3"}
    code = WAYS.format(first=first)
    said = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True)
    assert said.stdout.split() == counts.split()


@pytest.mark.parametrize("there", [(), ("get_num_threads",)])
def test_a_pytorch_that_is_only_half_there_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...]
) -> None:
    """Its module is known from the first line of its import on, which another thread may be busy with."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(threads, "_chosen", None)
    monkeypatch.setattr(threads, "_usual", threads_to_share)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(**dict.fromkeys(there)))
    assert threads.thread_count() == 3
    threads.set_thread_count(2)
    assert threads.thread_count() == 2


@pytest.mark.parametrize(("told", "count"), [("3", 3), ("2,4", 2)])
def test_threads_are_those_that_openmp_is_told(monkeypatch: pytest.MonkeyPatch, told: str, count: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert threads_to_share() == count


@pytest.mark.parametrize("told", ["", "0", "many"])
def test_they_are_one_a_core_where_openmp_is_told_nothing(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert threads_to_share() == len(os.sched_getaffinity(0))
