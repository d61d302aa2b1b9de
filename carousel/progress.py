"""What long work says while it goes on: a bar, and log lines above it, all on stderr."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def is_leader() -> bool:
    """Say whether this process speaks for all that `torchrun` started; a process alone does."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def progress_log() -> Iterator[None]:
    """Show log lines while the block runs; of several processes only the leader's, and all warnings."""
    from tqdm.contrib.logging import logging_redirect_tqdm

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO if is_leader() else logging.WARNING)
    try:
        with logging_redirect_tqdm():
            yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def progress_bar(total: int | None, *, alone: bool) -> Any:
    """Make a bar of lines, drawn on a terminal only.

    Args:
        total: Lines in all; None if that is not known.
        alone: Whether the results go elsewhere than to stdout, which may be the same terminal.
    """
    from tqdm import tqdm

    drawn = sys.stderr.isatty() and (alone or not sys.stdout.isatty())
    return tqdm(total=total, unit="line", file=sys.stderr, disable=not drawn)


class LotProgress:
    """Moves a bar over the lines of one lot, whatever the translator counts in."""

    def __init__(self, bar: Any, lines: int) -> None:
        """Start where the bar stands."""
        self._bar, self._start, self._lines = bar, bar.n, lines

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` parts of this lot are translated."""
        reached = self._start + self._lines * done // max(total, 1)
        self._bar.update(reached - self._bar.n)
