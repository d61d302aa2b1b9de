"""What runs in a worker process: jobs come through a channel, and what came of them goes back.

A process is made by fork(), so that it shares the weights that were loaded before with its parent and its siblings.
It keeps of its parent's sockets only its own end of the channel: a client whose connection it held as well would never
see it closed. It ends when its parent closes the channel, or is no more.

    parent ─ Order, Withdrawal ─▶ channel ─▶ turns of an `api.worker.Worker`
    parent ◀─ Told, Ended ─────── channel ◀─
"""

import gc
import logging
import os
import pickle
import select
import signal
import socket
import stat
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from api.jobs import Partial
from api.runner import REST_SECONDS
from api.text_translator import TextTranslator
from api.worker import Worker
from translator.processes import portable
from translator.threads import set_thread_count

if TYPE_CHECKING:  # beside what a model needs, which is imported when one is loaded and not before
    from translator.inference import Translation

logger = logging.getLogger(__name__)

LENGTH = struct.Struct("!Q")
"""What stands before a message: how many bytes it has."""
ENOUGH = 1 << 16
LAST_STANDARD = 2
"""stdin, stdout and stderr stay what they are: under systemd the last two are sockets."""


class Order(NamedTuple):
    """A job on its way into the process; the fields are those of `api.jobs.Job`."""

    number: int
    texts: Sequence[str]
    sources: Sequence[str]
    target: str
    alternatives: int
    detailed: bool
    read_along: bool


class Withdrawal(NamedTuple):
    """Nobody waits for this job any more."""

    number: int


class Told(NamedTuple):
    """What is certain of a job that somebody reads along."""

    number: int
    partial: Partial


class Ended(NamedTuple):
    """Jobs that have ended, and how many sentences each step had since the last of these messages."""

    outcomes: "Sequence[tuple[int, Sequence[Translation] | Exception]]"
    steps: Sequence[int]


class WithdrawnError(Exception):
    """What came of a job that nobody waited for any more: it has left the search."""


def packed(message: object) -> bytes:
    """Returns a message as it goes through a channel."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


def run_worker(
    end: socket.socket,
    translator: TextTranslator,
    *,
    beam_size: int | None,
    batch_size: int,
    threads: int,
) -> None:
    """Works until the other end of the channel is closed.

    Args:
        end: This process's end of the channel.
        translator: What translates, as the parent loaded it.
        beam_size: Hypotheses kept a step; None is what each model recommends.
        batch_size: Most sentences searched at once.
        threads: Of the processor.
    """
    _settle_in(end, threads)
    channel, steps = _Channel(end), list[int]()
    worker = Worker[_Task](translator, beam_size=beam_size, batch_size=batch_size, step=steps.append)
    inbox = _Inbox(channel)
    while True:
        if not inbox.look(seconds=0 if worker.busy else REST_SECONDS) and not worker.busy:
            worker.rest()
        if inbox.closed:
            return
        fresh, withdrawn = inbox.take()
        found = [(task.number, outcome) for task, outcome in worker.turn(fresh, inbox.look)]
        found += [(number, WithdrawnError()) for number in withdrawn]  # the turn began with letting them go
        if found:
            inbox.forget(number for number, _ in found)
            outcomes = [(number, portable(each) if isinstance(each, Exception) else each) for number, each in found]
            channel.send(Ended(outcomes, tuple(steps)))
            steps.clear()


@dataclass(eq=False)
class _Task:
    """A job as its process knows it; see `api.worker.Work`."""

    number: int
    texts: Sequence[str]
    sources: Sequence[str]
    target: str
    alternatives: int
    detailed: bool
    listener: Callable[[Partial], object] | None
    inbox: "_Inbox"
    withdrawn: bool = False

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for it any more, by the news that was looked at last."""
        return self.withdrawn or self.inbox.closed


class _Inbox:
    """What has come through the channel and was not yet attended to."""

    def __init__(self, channel: "_Channel") -> None:
        """Nothing has."""
        self.closed = False
        self._channel = channel
        self._tasks: dict[int, _Task] = {}
        self._fresh: list[_Task] = []
        self._withdrawn: list[int] = []

    def look(self, *, seconds: float = 0) -> bool:
        """Reads what has come, after so long a wait if that is nothing; returns whether anything is to be done."""
        while not self.closed and self._channel.has_news(seconds=0 if self._fresh or self._withdrawn else seconds):
            match self._channel.receive():
                case None:
                    self.closed = True
                case Order(number, texts, sources, target, alternatives, detailed, read_along):
                    listener = partial(self._tell, number) if read_along else None
                    task = _Task(number, texts, sources, target, alternatives, detailed, listener, self)
                    self._tasks[number] = task
                    self._fresh.append(task)
                case Withdrawal(number) if number in self._tasks:
                    self._tasks[number].withdrawn = True
                    self._withdrawn.append(number)
        return bool(self._fresh or self._withdrawn or self.closed)

    def take(self) -> tuple[list[_Task], list[int]]:
        """Returns the jobs that have come, and the numbers of those that are not wanted any more."""
        fresh, withdrawn = [task for task in self._fresh if not task.withdrawn], self._withdrawn
        self._fresh, self._withdrawn = [], []
        return fresh, withdrawn

    def forget(self, numbers: Iterable[int]) -> None:
        """Forgets jobs that have ended."""
        for number in numbers:
            self._tasks.pop(number, None)

    def _tell(self, number: int, told: Partial) -> None:
        self._channel.send(Told(number, told))


class _Channel:
    """The process's end: whole messages, one after the other."""

    def __init__(self, end: socket.socket) -> None:
        """Takes a connected socket."""
        self._end = end
        self._poll = select.poll()
        self._poll.register(end, select.POLLIN)

    def has_news(self, *, seconds: float = 0) -> bool:
        """Whether there is something to receive, or nobody at the other end; waits so long for it."""
        return bool(self._poll.poll(seconds * 1000))

    def receive(self) -> Any:
        """Waits for a message; None if nobody is there to send one any more."""
        if (head := self._take(LENGTH.size)) is None or (body := self._take(*LENGTH.unpack(head))) is None:
            return None
        return pickle.loads(body)

    def send(self, message: object) -> None:
        """Sends a message; if nobody is there to read it the next `receive` says so."""
        try:
            self._end.sendall(packed(message))
        except OSError:
            logger.debug("The parent of a worker process is gone.")

    def _take(self, count: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self._end.recv(min(count - len(parts), ENOUGH))
            except ConnectionError:
                return None
            if not part:
                return None
            parts += part
        return bytes(parts)


def _settle_in(end: socket.socket, threads: int) -> None:
    signal.set_wakeup_fd(-1)  # the parent's event loop's
    for number in (signal.SIGINT, signal.SIGTERM):  # they come to all processes; the parent ends this one in time
        signal.signal(number, signal.SIG_IGN)
    _let_go_of_sockets(end)
    gc.freeze()  # a collection would write to every object, and memory that is written to is not shared any more
    set_thread_count(threads)


def _let_go_of_sockets(kept: socket.socket) -> None:
    """Puts nothing in the place of each socket but one; to close them would free numbers that objects still hold."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
        try:
            if number > LAST_STANDARD and number != kept.fileno() and stat.S_ISSOCK(os.fstat(number).st_mode):
                os.dup2(nothing, number, inheritable=False)
        except OSError:  # that of the listing, which is closed again
            continue
    os.close(nothing)
