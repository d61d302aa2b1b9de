"""Workers in processes of their own: that they answer as a thread does, and what their death does to others."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from api.batching import Batcher
from api.errors import BusyError, DeadlineError
from api.jobs import Job, Partial
from api.metrics import Metrics
from api.process_runner import DEATHS_IN_VAIN, ProcessRunner
from api.worker_process import run_worker
from tests.api.fakes import PATIENCE_SECONDS, FakeSession, FakeTranslator, Options
from translator.errors import ConfigError, InputError
from translator.inference import Translation

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),  # Python 3.12, of a process with threads
]


class Marks:
    """Files by which a test speaks with processes: what has happened, and what may."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, name: str) -> None:
        (self.folder / name).touch()

    def made(self, name: str) -> bool:
        return (self.folder / name).exists()


class MortalTranslator(FakeTranslator):
    """Texts that say "die" end their process; those that say "hold" do not end before there is a mark "go"."""

    def __init__(self, marks: Marks, failures: dict[str, BaseException] | None = None) -> None:
        super().__init__(failures)
        self.marks = marks

    def session(self, *, options: Options | None = None, batch_size: int = 64) -> "MortalSession":
        return MortalSession(self)


class MortalSession(FakeSession):
    def __init__(self, translator: MortalTranslator) -> None:
        super().__init__(translator)
        self._marks = translator.marks

    def advance(self) -> list[int]:
        texts = [request.text for requests in self._requests.values() for request in requests]
        for text in texts:
            self._marks.make(f"begun {text}")
        if any("hold" in text or text == "die" for text in texts) and not self._marks.made("go"):
            return []
        for text in texts:
            if text == "die" or (text == "die once" and not self._marks.made("died")):
                self._marks.make("died")
                os.kill(os.getpid(), signal.SIGKILL)
        return super().advance()

    def cancel(self, ticket: int) -> None:
        self._marks.make("cancelled " + self._requests[ticket][0].text)
        super().cancel(ticket)

    def collect(self, ticket: int) -> list[Translation]:
        found = super().collect(ticket)
        return [Translation(f"{os.getpid()} {each.text}", each.source, each.target, "") for each in found]


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    return Marks(tmp_path)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@asynccontextmanager
async def batcher(
    marks: Marks,
    metrics: Metrics | None = None,
    *,
    failures: dict[str, BaseException] | None = None,
    deadline_seconds: float = 120,
) -> AsyncIterator[Batcher]:
    translator = MortalTranslator(marks, failures)
    async with Batcher(translator, workers=2, deadline_seconds=deadline_seconds, metrics=metrics) as made:
        try:
            yield made
        finally:
            marks.make("go")  # a failed test must not keep the workers waiting


def ask(made: Batcher, *texts: str) -> asyncio.Task[list[str]]:
    async def answer() -> list[str]:
        return [found.text for found in await made.translate(texts, sources=["en"] * len(texts), target="de")]

    return asyncio.create_task(answer())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.002)


def deaths(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("carousel_lost_workers_total") or 0


async def test_each_of_several_requests_goes_to_the_process_with_least_to_do(marks: Marks) -> None:
    async with batcher(marks) as made:
        answers = [ask(made, f"hold {i}") for i in range(4)]
        await until(lambda: all(marks.made(f"begun hold {i}") for i in range(4)))
        marks.make("go")
        found = [text for [text] in await asyncio.gather(*answers)]
    processes = [int(text.split()[0]) for text in found]
    assert [text.split(maxsplit=1)[1] for text in found] == [f"<de>hold {i}" for i in range(4)]
    assert processes[:2] == processes[2:]
    assert len({*processes, os.getpid()}) == 3


async def test_a_translation_comes_back_whole(marks: Marks) -> None:
    async with Batcher(FakeTranslator(answers={"text": (whole := _whole())}), workers=2) as made:
        [found] = await made.translate(["text"], sources=["en"], target="de")
    assert found == whole


def _whole() -> Translation:
    return Translation("Hallo Welt", "en", "de", "hello world", score=-0.5)


@pytest.mark.parametrize("error", [InputError("This cannot be taken."), RuntimeError("nobody foresaw")], ids=repr)
async def test_a_failure_comes_back_with_where_it_happened(marks: Marks, metrics: Metrics, error: Exception) -> None:
    async with batcher(marks, metrics, failures={"bad": error}) as made:
        with pytest.raises(type(error), match=str(error)) as failure:
            await ask(made, "bad")
        assert "advance" in "".join(failure.value.__notes__), "the trace of the other process"
        assert deaths(metrics) == 0


class Unreadable(Exception):
    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")  # so that it cannot be made again from what it holds


async def test_a_failure_that_cannot_be_sent_is_told_of_by_another(marks: Marks) -> None:
    async with batcher(marks, failures={"bad": Unreadable("no", "way")}) as made:
        with pytest.raises(RuntimeError, match="ended with Unreadable: no way"):
            await ask(made, "bad")


async def test_who_reads_along_is_told(marks: Marks) -> None:
    translator = FakeTranslator()
    translator.told = ["<de>", "<de>te"]
    async with Batcher(translator, workers=2) as made:
        *told, translation = [each async for each in made.stream("text", source="en", target="de")]
    assert isinstance(translation, Translation)
    assert translation.text == "<de>text"
    assert told
    assert all(isinstance(each, Partial) and translation.text.startswith(each.text) for each in told)


async def test_what_nobody_waits_for_leaves_the_search(marks: Marks) -> None:
    async with batcher(marks) as made:
        gone = ask(made, "hold gone")
        await until(lambda: marks.made("begun hold gone"))
        gone.cancel()
        await until(lambda: marks.made("cancelled hold gone"))


async def test_the_requests_of_a_process_that_died_are_done_by_its_successor(marks: Marks, metrics: Metrics) -> None:
    async with batcher(marks, metrics) as made:
        answers = [ask(made, text) for text in ("hold 1", "die once", "hold 2", "hold 3")]
        await until(lambda: marks.made("begun die once"))
        marks.make("go")
        found = [text for [text] in await asyncio.gather(*answers)]
        assert [text.split(maxsplit=1)[1] for text in found] == [
            "<de>hold 1",
            "<de>die once",
            "<de>hold 2",
            "<de>hold 3",
        ]
        assert made.running
        assert deaths(metrics) == 1


async def test_only_the_request_that_two_processes_died_of_fails(marks: Marks, metrics: Metrics) -> None:
    async with batcher(marks, metrics) as made:
        texts = ("hold 1", "die", "hold 2", "hold 3", "hold 4", "hold 5")
        answers = [ask(made, text) for text in texts]
        await until(lambda: all(marks.made(f"begun {text}") for text in texts))
        marks.make("go")
        found = await asyncio.gather(*answers, return_exceptions=True)
        failed = [text for text, each in zip(texts, found, strict=True) if isinstance(each, BaseException)]
        assert failed == ["die"]
        with pytest.raises(RuntimeError, match=r"Two processes died .* exit code -9"):
            await answers[1]
        assert deaths(metrics) == 2
        assert (await ask(made, "later"))[0].endswith("<de>later")


async def test_a_process_that_dies_idle_is_replaced(marks: Marks, metrics: Metrics) -> None:
    async with batcher(marks, metrics) as made:
        [[text], _] = await asyncio.gather(ask(made, "one"), ask(made, "two"))
        os.kill(int(text.split()[0]), signal.SIGKILL)
        await until(lambda: deaths(metrics) == 1)
        again = await asyncio.gather(*(ask(made, f"text {i}") for i in range(4)))
        assert len({answer[0].split()[0] for answer in again}) == 2


async def test_where_there_is_no_room_for_a_successor_it_is_made_later(
    marks: Marks, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fork, failures = os.fork, [OSError(errno.ENOMEM, "Cannot allocate memory")] * 2

    def crowded_fork() -> int:
        if failures:
            raise failures.pop()
        return fork()

    monkeypatch.setattr("api.process_runner.PAUSES_SECONDS", (0.01, 0.01))
    async with batcher(marks, metrics) as made:
        answers = [ask(made, text) for text in ("hold 1", "die once", "hold 2", "hold 3")]
        await until(lambda: marks.made("begun die once"))
        monkeypatch.setattr(os, "fork", crowded_fork)
        marks.make("go")
        assert len(await asyncio.gather(*answers)) == 4
        assert not failures
    assert "No worker process can be made ([Errno 12] Cannot allocate memory); trying again in 0.01 s" in caplog.text


async def test_closing_waits_for_no_process_that_cannot_be_made(
    marks: Marks, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room() -> int:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    async with batcher(marks, metrics) as made:
        [text] = await ask(made, "one")
        monkeypatch.setattr("api.process_runner.PAUSES_SECONDS", (0.01,) * 1000)
        monkeypatch.setattr(os, "fork", no_room)
        os.kill(int(text.split()[0]), signal.SIGKILL)
        await until(lambda: deaths(metrics) == 1)
        [other] = await ask(made, "two")
        assert other.split()[0] != text.split()[0], "nothing is given to a runner that has no process"


async def test_if_a_runner_fails_its_requests_do_too(marks: Marks) -> None:
    translator = MortalTranslator(marks)
    ended: list[tuple[str, object]] = []

    def broken(count: int) -> None:
        raise MemoryError("no room for a number")

    runner = ProcessRunner(
        partial(run_worker, translator=translator, beam_size=None, batch_size=4, threads=1),
        ended=lambda found: ended.extend((job.texts[0], outcome) for job, outcome in found),
        step=broken,
        lost=lambda: None,
    )
    await runner.start()
    loop = asyncio.get_running_loop()
    for text in ("one", "hold two"):
        runner.submit(Job([text], ["en"], "de", loop.create_future()))
    marks.make("go")
    await until(lambda: not runner.running)
    await runner.close()
    assert sorted(text for text, _ in ended) == ["hold two", "one"]
    assert {str(outcome) for _, outcome in ended} == {"The worker process that should have translated this is no more."}


async def test_processes_that_die_again_and_again_are_not_replaced_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    lost: list[int] = []

    def die(end: socket.socket) -> None:
        os._exit(7)

    runner = ProcessRunner(die, ended=lambda ended: None, step=lambda count: None, lost=lambda: lost.append(1))
    await runner.start()
    await until(lambda: not runner.running)
    await runner.close()
    assert len(lost) == DEATHS_IN_VAIN
    assert "A worker translates nothing any more; restart the service" in caplog.text
    assert "the last with exit code 7" in caplog.text


async def test_a_deadline_holds_for_a_process_too(marks: Marks) -> None:
    async with batcher(marks, deadline_seconds=0.3) as made:
        with pytest.raises(DeadlineError, match="took longer"):
            await ask(made, "hold on")


async def test_closing_finishes_what_waits_takes_no_more_and_leaves_no_process(marks: Marks) -> None:
    async with batcher(marks) as made:
        answers = [ask(made, f"hold {i}") for i in range(3)]
        await until(lambda: all(marks.made(f"begun hold {i}") for i in range(3)))
    found = [text for [text] in await asyncio.gather(*answers)]
    assert [text.split(maxsplit=1)[1] for text in found] == [f"<de>hold {i}" for i in range(3)]
    for text in found:
        with pytest.raises(ProcessLookupError):
            os.kill(int(text.split()[0]), 0)
    with pytest.raises(BusyError, match="stopping"):
        await ask(made, "late")


async def test_a_process_keeps_no_connection_of_its_parents_open(marks: Marks) -> None:
    ours, theirs = socket.socketpair()
    async with batcher(marks):
        theirs.close()
        ours.settimeout(PATIENCE_SECONDS)
        assert await asyncio.to_thread(ours.recv, 1) == b"", "the end that the processes inherited is closed there"
    ours.close()


def test_a_system_without_fork_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(ConfigError, match=r"needs fork\(\), which this system lacks; set workers to 1"):
        Batcher(FakeTranslator(), workers=2)
