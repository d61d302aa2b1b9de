"""Ctrl-C and SIGTERM as a wish to stop at the next safe place."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopRequest:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        """Nobody has, so far."""
        self.made = False

    def make(self, number: int, frame: FrameType | None) -> None:
        """Takes a signal."""
        self.made = True


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Turns SIGINT and SIGTERM into a request while the block runs; outside the main thread nothing is caught."""
    request = StopRequest()
    before: dict[signal.Signals, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, request.make)
    except ValueError:  # not the main thread: signals are somebody else's
        pass
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
