"""A process that is asked to keep freed memory takes no new pages for what it had before."""

import os
import platform
import resource
import subprocess
import sys

import pytest

from training.memory import keep_kernels

# The library as it starts; by itself it moves these limits up as a program frees large blocks, at times far enough.
GIVING = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
PROGRAM = """
import resource, sys
import torch
from training.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    [torch.zeros(7_000_000) for _ in range(8)]
before = faults()
for _ in range(10):
    [torch.zeros(7_000_000) for _ in range(8)]
print(kept, faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be asked")
def test_blocks_that_were_freed_are_used_again() -> None:
    found = {}
    for how in ("keep", "leave"):
        command = [sys.executable, "-c", PROGRAM, how]
        told = subprocess.run(command, env=os.environ | GIVING, capture_output=True, text=True, check=True).stdout
        kept, faults = told.split()
        assert kept == ("True" if how == "keep" else "None")
        found[how] = int(faults)
    pages = 7_000_000 * 4 // resource.getpagesize()  # of a block
    assert found["leave"] > 10 * found["keep"]
    assert found["keep"] < 2 * pages  # one may find no hole of its size once, and then has new pages


def test_kernels_are_kept_unless_the_environment_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "")  # so that it is put back as it was
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY")
    keep_kernels()
    assert int(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) > 1024  # oneDNN's own
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "7")
    keep_kernels()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "7"
