"""Threads that wait sleep soon, unless somebody who knows better says otherwise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
