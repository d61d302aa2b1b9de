"""A folder is there whole or not at all: after an error, a full disk, and a real SIGKILL between any two steps."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from translator.folders import replace_folder, settle

# Saves over `sys.argv[1]` and is killed just before, or just after, the renaming of that number (0 is the first).
KILLED = """
import os, signal, sys
from pathlib import Path
from translator.folders import replace_folder

path, number, moment = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rename, done = Path.rename, 0

def fatal_rename(self, target):
    global done
    if done == number and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    rename(self, target)
    if done == number and moment == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    done += 1

Path.rename = fatal_rename
with replace_folder(path) as folder:
    (folder / "text").write_text("new")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder with an old text in it, alone in its parent."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "text").write_text("old")
    (path / "only-in-the-old").touch()
    return path


def write(path: Path, text: str) -> None:
    with replace_folder(path) as folder:
        (folder / "text").write_text(text)


def content(path: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in path.iterdir()}


OLD = {"text": "old", "only-in-the-old": ""}


def test_a_new_folder_appears_with_its_parents(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "one" / "best"
    write(path, "new")
    assert content(path) == {"text": "new"}
    assert list(path.parent.iterdir()) == [path]


def test_the_new_folder_takes_the_place_of_the_old_one_whole(path: Path) -> None:
    write(path, "new")
    assert content(path) == {"text": "new"}
    assert list(path.parent.iterdir()) == [path]


def test_until_the_block_ends_the_old_folder_is_there(path: Path) -> None:
    with replace_folder(path) as folder:
        assert not list(folder.iterdir())
        (folder / "text").write_text("half")
        assert content(path) == OLD


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), id="full disk"),
        pytest.param(ValueError("broken"), id="any error"),
        pytest.param(KeyboardInterrupt(), id="Ctrl-C"),
    ],
)
def test_an_error_in_the_block_leaves_the_old_folder_and_nothing_else(path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), replace_folder(path) as folder:
        (folder / "text").write_text("half")
        raise error
    assert content(path) == OLD
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("number", [0, 1], ids=["away with the old", "in with the new"])
def test_a_renaming_that_fails_leaves_the_old_folder(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    rename, calls = Path.rename, 0

    def failing_rename(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == number + 1:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing_rename)
    with pytest.raises(OSError, match="Input/output error"):
        write(path, "new")
    assert content(path) == OLD
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "moment", "expected"),
    [
        pytest.param(0, "before", OLD, id="before the first renaming"),
        pytest.param(0, "after", OLD, id="after the first renaming"),
        pytest.param(1, "before", OLD, id="before the second renaming"),
        pytest.param(1, "after", {"text": "new"}, id="after the second renaming"),
    ],
)
def test_killed_at_any_moment_one_whole_folder_is_left(
    path: Path, number: int, moment: str, expected: dict[str, str]
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), str(number), moment], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    settle(path)
    assert content(path) == expected
    write(path, "newer")  # and what the killed one left is in nobody's way
    assert content(path) == {"text": "newer"}
    assert list(path.parent.iterdir()) == [path]


def test_a_save_needs_no_settling_before_it(path: Path) -> None:
    leftover = path.with_name(".model.old")  # of one that was killed after its second renaming
    leftover.mkdir()
    (leftover / "text").write_text("older")
    write(path, "new")
    assert content(path) == {"text": "new"}
    assert list(path.parent.iterdir()) == [path]


def test_settling_what_is_settled_changes_nothing(path: Path) -> None:
    settle(path)
    assert content(path) == OLD
    settle(path.with_name("nothing"))
    assert list(path.parent.iterdir()) == [path]


def test_the_current_folder_can_be_named_by_a_point(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path)
    settle(Path("."))
    write(Path("."), "new")
    assert content(path) == {"text": "new"}


def test_a_link_goes_on_pointing_at_what_was_replaced(path: Path) -> None:
    link = path.with_name("latest")
    link.symlink_to(path, target_is_directory=True)
    write(link, "new")
    write(link, "newer")
    assert link.is_symlink()
    assert content(path) == {"text": "newer"}
    assert sorted(path.parent.iterdir()) == [link, path]
