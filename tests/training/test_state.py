"""Training states: what goes in comes out bit for bit, and nothing that happens on the way costs the old one."""

import errno
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from training.state import Moments, Progress, State, load_state, restore_random, save_state
from translator.errors import CheckpointError

CPU = torch.device("cpu")
PROGRESS = Progress(config="abc", step=7, epoch=2, position=1, best_bleu=1 / 3, best_step=5, stale=1, seconds=0.1)


def weights(fill: float = 1.5) -> dict[str, Tensor]:
    return {"layer.weight": torch.full((300, 2), fill), "layer.bias": torch.tensor([-0.0, 1e-45, torch.inf])}


def moments() -> Moments:
    return {"layer.weight": {"step": torch.tensor(7.0), "exp_avg": torch.randn(300, 2)}}


def save(folder: Path, *, step: int = 7, fill: float = 1.5, **changed: Any) -> None:
    given: dict[str, Any] = {"weights": weights(fill), "average": weights(fill + 1), "moments": moments()} | changed
    save_state(folder, Progress(config="abc", step=step), **given)


def load(folder: Path) -> State:
    return load_state(folder, device=CPU)


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].numpy().tobytes() == tensor.numpy().tobytes()


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    kept = moments()
    save_state(tmp_path / "state", PROGRESS, weights=weights(), average=weights(2.5), moments=kept)
    state = load(tmp_path / "state")
    assert state.progress == PROGRESS
    assert_equal(state.weights, weights())
    assert_equal(state.average, weights(2.5))
    assert state.moments.keys() == kept.keys()
    assert_equal(state.moments["layer.weight"], kept["layer.weight"])


def test_random_numbers_go_on_where_they_were(tmp_path: Path) -> None:
    torch.manual_seed(3)
    torch.rand(5)
    save(tmp_path / "state")
    expected = torch.rand(5)
    torch.manual_seed(4)
    restore_random(load(tmp_path / "state").random)
    assert torch.equal(torch.rand(5), expected)


def test_a_tensor_that_is_a_view_is_saved_as_it_looks(tmp_path: Path) -> None:
    turned = torch.arange(6.0).view(2, 3).t()
    save(tmp_path / "state", weights={"turned": turned})
    assert torch.equal(load(tmp_path / "state").weights["turned"], turned)


def test_a_new_state_replaces_the_old_one_whole(tmp_path: Path) -> None:
    save(tmp_path / "state")
    save(tmp_path / "state", step=8, weights={"other": torch.zeros(1)}, average={}, moments={})
    state = load(tmp_path / "state")
    assert state.progress.step == 8
    assert state.weights.keys() == {"other"}
    assert (state.average, state.moments) == ({}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


@contextmanager
def full_disk(at: int | str) -> Iterator[None]:
    """Lets files grow to so many bytes only, or lets the writing of text fail."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patch:
        if isinstance(at, int):
            resource.setrlimit(resource.RLIMIT_FSIZE, (at, before[1]))
        else:
            patch.setattr(Path, "write_text", no_space)
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(0, id="full at once"),
        pytest.param(4000, id="full half-way through the weights"),
        pytest.param("text", id="full after the weights"),
    ],
)
def test_a_full_disk_leaves_the_old_state(tmp_path: Path, at: int | str) -> None:
    save(tmp_path / "state", fill=1.0)
    message = r"state could not be written .*; make room, then go on with --resume"
    with pytest.raises(CheckpointError, match=message), full_disk(at):
        save(tmp_path / "state", step=8, fill=2.0)
    state = load(tmp_path / "state")
    assert state.progress.step == 7
    assert_equal(state.weights, weights(1.0))
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_kill_while_the_new_state_is_written_leaves_the_old_one(tmp_path: Path) -> None:
    save(tmp_path / "state")
    (tmp_path / ".state.new").mkdir()
    (tmp_path / ".state.new" / "state.safetensors").write_bytes(b"half")
    assert load(tmp_path / "state").progress.step == 7
    save(tmp_path / "state", step=8)
    assert load(tmp_path / "state").progress.step == 8
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_kill_in_the_middle_of_the_swap_leaves_the_old_state(tmp_path: Path) -> None:
    save(tmp_path / "state")
    (tmp_path / "state").rename(tmp_path / ".state.old")
    assert load(tmp_path / "state").progress.step == 7


def test_a_missing_state_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"There is no training state in .*state; start without --resume"):
        load(tmp_path / "state")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def foreign_key(path: Path) -> None:
    path.write_text(json.dumps({"config": "abc", "steps": 7}))


@pytest.mark.parametrize(
    ("file", "spoil"),
    [
        pytest.param("state.safetensors", cut_short, id="weights cut short"),
        pytest.param("state.json", cut_short, id="progress cut short"),
        pytest.param("state.json", foreign_key, id="progress of another version"),
    ],
)
def test_a_damaged_state_is_refused(tmp_path: Path, file: str, spoil: Any) -> None:
    save(tmp_path / "state")
    spoil(tmp_path / "state" / file)
    with pytest.raises(
        CheckpointError, match=r"The training state in .*state is damaged .*; delete that folder and start again"
    ):
        load(tmp_path / "state")
