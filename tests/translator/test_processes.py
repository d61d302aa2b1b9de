"""Work shared out among processes, by functions that need no model."""

import errno
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from translator.errors import CancelledError, ConfigError
from translator.processes import Tell, share_out

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12, of a process with threads


PATIENCE_SECONDS = 60


def lengths(texts: Sequence[str], tell: Tell) -> list[tuple[int, int]]:
    tell(len(texts), len(texts))
    return [(len(text), os.getpid()) for text in texts]


@pytest.mark.parametrize("count", [1, 2, 3, 1100])
def test_results_come_in_order_from_other_processes(count: int) -> None:
    items = ["a" * (7 * number % 11) for number in range(count)]
    found = share_out(lengths, items, workers=2, size=len)
    assert [length for length, _ in found] == [len(item) for item in items]
    processes = {process for _, process in found}
    assert os.getpid() not in processes
    assert len(processes) == min(count, {1100: 4}.get(count, 2)), "1,100 are two parts of 256 and more for each worker"


def test_parts_are_about_as_much_work() -> None:
    items = ["a" * number for number in range(100)]
    found = share_out(lengths, items, workers=2, size=len)
    work = dict.fromkeys({process for _, process in found}, 0)
    for length, process in found:
        work[process] += length
    one, other = work.values()
    assert abs(one - other) <= 100, "dealt in turn from the largest down they differ by no more than that"


def test_progress_ends_at_all() -> None:
    told: list[tuple[int, int]] = []

    def halves(items: Sequence[int], tell: Tell) -> list[int]:
        for done in range(len(items) + 1):
            tell(2 * done, 2 * len(items))
        return list(items)

    items = list(range(50))
    assert share_out(halves, items, workers=2, size=int, progress=lambda *each: told.append(each)) == items
    assert told[-1] == (100, 100)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_what_work_raises_comes_back_and_ends_the_others(tmp_path: Path) -> None:
    def fail(items: Sequence[int], tell: Tell) -> list[int]:
        if 3 in items:
            raise KeyError("three")
        (tmp_path / "written").write_text(str(os.getpid()))
        (tmp_path / "written").rename(tmp_path / "other")
        time.sleep(600)
        return list(items)

    def slow_to_fail(items: Sequence[int], tell: Tell) -> list[int]:
        while 3 in items and not (tmp_path / "other").exists():
            time.sleep(0.001)
        return fail(items, tell)

    with pytest.raises(KeyError, match="three"):
        share_out(slow_to_fail, [3, 1], workers=2, size=int)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "other").read_text()), 0)


def test_a_process_that_dies_is_told_of() -> None:
    def die(items: Sequence[int], tell: Tell) -> list[int]:
        os.kill(os.getpid(), signal.SIGKILL)
        return list(items)

    with pytest.raises(ConfigError, match=r"A worker process died with exit code -9.* Ask for fewer workers"):
        share_out(die, [1, 2], workers=2, size=int)


def test_cancelling_ends_the_processes(tmp_path: Path) -> None:
    def sleep(items: Sequence[int], tell: Tell) -> list[int]:
        (tmp_path / str(os.getpid())).touch()
        time.sleep(600)
        return list(items)

    with pytest.raises(CancelledError):
        share_out(sleep, [1, 2], workers=2, size=int, cancelled=lambda: len(list(tmp_path.iterdir())) == 2)
    for file in tmp_path.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.name), 0)


def test_processes_end_when_who_made_them_is_killed(tmp_path: Path) -> None:
    def tell_for_ever(items: Sequence[int], tell: Tell) -> list[int]:
        (tmp_path / str(os.getpid())).touch()
        while True:
            tell(0, 1)

    maker = multiprocessing.get_context("fork").Process(
        target=share_out, args=(tell_for_ever, [1, 2, 3]), kwargs={"workers": 2, "size": int}
    )
    maker.start()
    end = time.monotonic() + PATIENCE_SECONDS
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    maker.kill()
    maker.join()
    makers = [int(file.name) for file in tmp_path.iterdir()]
    assert len(makers) == 2
    while any(map(runs, makers)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(map(runs, makers))


def runs(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


class Unreadable(Exception):
    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")  # so that it cannot be made again from what it holds


def test_an_error_that_cannot_be_sent_is_told_of_by_another() -> None:
    def fail(items: Sequence[int], tell: Tell) -> list[int]:
        raise Unreadable("no", "way")

    with pytest.raises(RuntimeError, match="ended with Unreadable: no way") as failure:
        share_out(fail, [1, 2], workers=2, size=int)
    assert "in fail" in "".join(failure.value.__notes__), "the trace of the other process"


def test_a_system_that_has_no_room_for_a_process_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room() -> int:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(os, "fork", no_room)
    with pytest.raises(ConfigError, match=r"No worker process can be made \(Cannot allocate memory\); ask for fewer"):
        share_out(lengths, ["a", "b"], workers=2, size=len)


def test_a_system_without_fork_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(ConfigError, match=r"needs fork\(\), which this system lacks; set workers to 1"):
        share_out(lengths, ["a", "b"], workers=2, size=len)
