"""Training for real: the command, killed and resumed, and two processes that are one run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.small_run import assert_same_run, saved_progress, saved_tensors, write_run
from training.experiment import train

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
LONG_RUN: dict[str, Any] = {
    "max_steps": 300,
    "dropout": 0.3,
    "token_dropout": 0.1,
    "accumulate": 2,
    "augmentation": {"misspelled": 0.3, "resegmented": 0.4, "joined": 0.2},
    "validation": {"every_steps": 20, "sentences": 4},
}
PATIENCE_SECONDS = 240


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Puts back the number of threads, which a run sets for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Returns what it said on stderr, once it has ended well."""
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    return said


def carousel_train(path: Path, *options: str) -> subprocess.Popen[str]:
    return start("-m", "carousel", "train", "--config", str(path), *options)


def wait_for_step(process: subprocess.Popen[str], run: Path, step: int) -> None:
    """Returns once the state that lies in `run` is that of `step` or a later one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if json.loads((run / "state" / "state.json").read_text(encoding="utf-8"))["step"] >= step:
                return
        except FileNotFoundError:  # none yet, or just being replaced
            pass
        time.sleep(0.01)
    process.kill()
    pytest.fail(f"step {step} was not reached: {process.communicate()[1]}")


def test_a_run_that_was_killed_and_then_stopped_equals_one_that_was_not(tmp_path: Path) -> None:
    whole, broken = (write_run(tmp_path, name=name, **LONG_RUN) for name in ("whole", "broken"))
    run = tmp_path / "broken"

    process = carousel_train(broken)
    wait_for_step(process, run, 1)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.communicate()

    process = carousel_train(broken, "--resume")
    wait_for_step(process, run, 100)
    process.terminate()
    assert "stopped by a signal at step" in finish(process)
    assert 100 <= saved_progress(run)["step"] < LONG_RUN["max_steps"]

    finish(carousel_train(broken, "--resume"))
    train(whole)
    assert saved_progress(run)["step"] == LONG_RUN["max_steps"]
    assert_same_run(run, tmp_path / "whole")


def test_two_processes_learn_what_one_learns_from_twice_the_batches(tmp_path: Path) -> None:
    short: dict[str, Any] = {"max_steps": 8, "validation": {"every_steps": 4}}
    one = write_run(tmp_path, name="one", accumulate=2, **short)
    two = write_run(tmp_path, name="two", accumulate=1, **short)
    train(one)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    finish(start(*torchrun, "-m", "carousel", "train", "--config", str(two)))
    assert saved_progress(tmp_path / "one")["step"] == saved_progress(tmp_path / "two")["step"] == 8
    expected, found = saved_tensors(tmp_path / "one"), saved_tensors(tmp_path / "two")
    for name in expected:
        if name.startswith(("weights.", "average.")):
            torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-5)
