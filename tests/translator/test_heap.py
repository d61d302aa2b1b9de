"""What loading leaves behind is the system's again."""

import ctypes
import platform
import subprocess
import sys

import pytest

from translator.heap import return_freed_memory

PROGRAM = """
from translator.heap import return_freed_memory
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6
blocks = [b"x" * 60_000 for _ in range(1000)]
last = b"x" * 60_000  # lies above them: without being asked, the library keeps what is free below it
del blocks
before = resident()
print(return_freed_memory(), before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be asked")
def test_free_blocks_leave_the_process() -> None:
    command = [sys.executable, "-c", PROGRAM]
    gave, megabytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert gave == "True"
    assert float(megabytes) > 40  # of sixty


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not return_freed_memory()
