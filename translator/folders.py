"""Folders that are there whole or not at all: how checkpoints and training states reach the disk.

A new folder is written beside the old one, flushed, and takes its place by renaming. Whatever happens in between (a
kill, a full disk), either the old or the new one can be read: `readable` says where, and the next writer settles it.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Gives an empty folder to write into, which becomes `path` if the block succeeds.

    Example:
        with replace_folder(Path("model")) as folder:
            (folder / "manifest.json").write_text("{}")

    Raises:
        OSError: The disk is full or not writable; `path` is as it was.
    """
    path = path.resolve()  # so that "." has a neighbour, and a link keeps pointing at the folder
    path.parent.mkdir(parents=True, exist_ok=True)
    settle(path)
    fresh, old = _beside(path, "new"), _beside(path, "old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
        for file in [*fresh.rglob("*"), fresh]:
            _flush(file)
        if path.exists():
            path.rename(old)
        fresh.rename(path)
        _flush(path.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        settle(path)


def readable(path: Path) -> Path:
    """Returns where `path` can be read: itself, or the old folder that an interrupted swap put aside.

    Readers ask this and change nothing, so that they never get in the way of a writer who is in the middle of a swap.
    """
    old = _beside(path.resolve(), "old")
    return old if old.is_dir() and not path.exists() else path


def settle(path: Path) -> None:
    """Brings the old folder back if a swap was cut off between its two renames; else removes what is left of one."""
    path = path.resolve()
    old = _beside(path, "old")
    if not old.exists():
        return
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.rename(path)


def _beside(path: Path, word: str) -> Path:
    return path.with_name(f".{path.name}.{word}")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
