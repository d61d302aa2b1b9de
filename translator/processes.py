"""One piece of work shared out among processes made by fork(), which see all that was loaded before.

Each part of the items is done by a process of its own, a few at a time, each in one thread: many small operations of
one search gain little from a second thread, and another search gains a whole core.
"""

import contextlib
import gc
import multiprocessing
import pickle
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, NamedTuple, TypeVar

from translator.errors import CancelledError, ConfigError
from translator.threads import set_thread_count

Item = TypeVar("Item")
Result = TypeVar("Result")
Tell = Callable[[int, int], None]
"""Told (done, in all), in whatever the work counts in."""
Work = Callable[[Sequence[Item], Tell], list[Result]]

LEAST_PART, PARTS_EACH = 256, 4
"""Items of a part where there are many, and parts for each worker then: whoever is quicker takes one more."""
LISTENING_SECONDS = 0.1


class _Told(NamedTuple):
    done: int
    total: int


@dataclass
class _Part(Generic[Result]):
    """Some of the items, and what is known of them."""

    places: list[int]
    total: int
    done: int = 0
    results: list[Result] | None = None


def check_fork() -> None:
    """Refuses where no process can be made by fork().

    Raises:
        ConfigError: This system has none, or this process may have no children.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        raise ConfigError("More than one worker needs fork(), which this system lacks; set workers to 1.")
    if multiprocessing.current_process().daemon:
        raise ConfigError("More than one worker is wanted in a process that may have no children; set workers to 1.")


def share_out(
    work: Work[Item, Result],
    items: Sequence[Item],
    *,
    workers: int,
    size: Callable[[Item], int],
    progress: Tell | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Result]:
    """Does `work` on parts of the items, several at once.

    Args:
        work: Takes some of the items, and whom to tell how far it is; returns a result for each. Runs in a process of
            its own, so nothing that it changes is seen here.
        items: What is sent to it.
        workers: Processes at once.
        size: About how much work an item is.
        progress: Told (done, in all); how many there are in all is a guess until the last part has begun.
        cancelled: Asked at least ten times a second.

    Returns:
        One result an item, in order.

    Raises:
        CancelledError: `cancelled` said yes.
        ConfigError: There can be no such processes, or one died.
        Exception: What `work` raised, with the trace of its process as a note.
    """
    check_fork()
    parts = [_Part[Result](places, total=len(places)) for places in _dealt([size(item) for item in items], workers)]
    waiting, live = deque(parts), dict[Connection, tuple[BaseProcess, _Part[Result]]]()
    try:
        while waiting or live:
            while waiting and len(live) < workers:
                part = waiting.popleft()
                connection, process = _start(work, [items[place] for place in part.places], live)
                live[connection] = process, part
            ready = wait(list(live), LISTENING_SECONDS)
            for connection, (process, part) in list(live.items()):
                if connection in ready and _hear(connection, process, part):
                    del live[connection]
            if cancelled is not None and cancelled():
                raise CancelledError("The translation was cancelled.")
            if progress is not None:
                progress(sum(part.done for part in parts), sum(part.total for part in parts))
    finally:
        for connection, (process, _) in live.items():
            process.kill()
            process.join()
            connection.close()
    results = {place: result for part in parts for place, result in zip(part.places, part.results or [], strict=True)}
    return [results[place] for place in range(len(items))]


def portable(error: Exception) -> Exception:
    """Returns an error that another process can read, its trace as a note; one that it could not is told of."""
    where = "".join(traceback.format_exception(error))
    try:
        told: Exception = pickle.loads(pickle.dumps(error))
    except Exception:
        told = RuntimeError(f"The translator ended with {type(error).__name__}: {error}")
    told.add_note(f"In a worker process:\n{where}")
    return told


def _dealt(sizes: Sequence[int], workers: int) -> list[list[int]]:
    """Deals places out, the largest first, so that all parts are about as much work, and all workers have as many."""
    each = max(1, min(PARTS_EACH, len(sizes) // (LEAST_PART * workers)))
    count = min(len(sizes), workers * each)
    order = sorted(range(len(sizes)), key=lambda place: -sizes[place])
    return [order[start::count] for start in range(count)]


def _start(
    work: Work[Item, Result], items: Sequence[Item], others: Iterable[Connection]
) -> tuple[Connection, BaseProcess]:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=_run, args=(work, items, theirs, [ours, *others]), daemon=True)
    try:
        process.start()
    except OSError as error:
        raise ConfigError(f"No worker process can be made ({error.strerror}); ask for fewer workers.") from None
    finally:
        theirs.close()
    return ours, process


def _run(work: Work[Item, Result], items: Sequence[Item], end: Connection, foreign: Iterable[Connection]) -> None:
    """What the process does. It holds no end of its parent's, or it would write to itself when that is gone."""
    for connection in foreign:
        connection.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends this one
    gc.freeze()  # a collection would write to every object, and memory that is written to is not shared any more
    set_thread_count(1)
    with contextlib.suppress(BrokenPipeError):  # nobody is there to read it any more
        try:
            end.send(work(items, lambda done, total: end.send(_Told(done, total))))
        except BrokenPipeError:
            raise
        except Exception as error:
            end.send(portable(error))


def _hear(connection: Connection, process: BaseProcess, part: _Part[Result]) -> bool:
    """Takes a message of a part; returns whether it was the last."""
    try:
        message = connection.recv()
    except (EOFError, OSError):  # the second one in the middle of a message
        process.join()
        raise ConfigError(
            f"A worker process died with exit code {process.exitcode}; was there memory enough? Ask for fewer workers."
        ) from None
    if isinstance(message, Exception):
        raise message
    if isinstance(message, _Told):
        part.done, part.total = message
        return False
    part.results, part.done = message, part.total
    process.join()
    connection.close()
    return True
