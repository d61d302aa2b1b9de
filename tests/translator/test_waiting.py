"""Threads that wait sleep soon, unless somebody who knows better says otherwise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.translator.conftest import needs_kernels
from translator.waiting import SPINS, wait_briefly


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, SPINS),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, None),
        ({"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "7"}, "7"),
    ],
    ids=["nothing said", "so many spins", "spinning wanted", "both"],
)
def test_what_the_environment_says_is_left(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, str], after: str | None
) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    wait_briefly()
    assert os.environ.get("GOMP_SPINCOUNT") == after


def test_it_is_said_before_anybody_reads_it() -> None:
    """OpenMP reads its environment once, when torch is imported."""
    code = "import sys; from translator.waiting import wait_briefly; wait_briefly(); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert run.stdout.strip() == "False"


@needs_kernels
@pytest.mark.parametrize("told", [None, "7"])
def test_the_kernels_are_loaded_so_and_the_environment_stays(told: str | None) -> None:
    """A program that loads a translator says nothing of how threads wait, and its children are told nothing."""
    code = (
        "import ctypes, os; seen = []; load = ctypes.CDLL.__init__\n"
        "def watched(*all, **more): seen.append(os.environ.get('GOMP_SPINCOUNT')); load(*all, **more)\n"
        "ctypes.CDLL.__init__ = watched\n"
        "from translator import kernels; kernels.available(); print(set(seen), os.environ.get('GOMP_SPINCOUNT'))"
    )
    environment = {name: value for name, value in os.environ.items() if "OMP" not in name}
    environment |= {} if told is None else {"GOMP_SPINCOUNT": told}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True
    )
    assert run.stdout.strip() == f"{ {told or SPINS} } {told}", run.stderr
