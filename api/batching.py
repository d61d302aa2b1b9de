"""Continuous batching: requests join the running search at any step, and leave it when they are done.

    translate(), stream() ─▶ jobs (api.jobs) ─▶ runners ─▶ turns of a worker (api.worker) ─▶ answers

There is one runner, a thread (api.runner), or several, a process each (api.process_runner); a job goes to the one that
has fewest characters to translate. All state of this class lives on the event loop, so there are no locks.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from api.errors import BusyError, DeadlineError
from api.jobs import Job, Partial
from api.metrics import Metrics
from api.pace import Pace
from api.process_runner import ProcessRunner
from api.runner import Runner, ThreadRunner
from api.text_stream import Reader, TextStream
from api.text_translator import TextTranslator
from api.worker import Outcome, Worker
from api.worker_process import run_worker

if TYPE_CHECKING:  # beside what a model needs, which is imported when one is loaded and not before
    from translator.inference import Translation

LONGEST_RETRY_AFTER_SECONDS = 60
T = TypeVar("T")
SameWork = tuple[tuple[str, ...], tuple[str, ...], str, int, bool]
"""Texts, their languages, the language wanted, alternatives, whether with details: equal ones have equal answers."""


class Batcher:
    """The one way from the event loop to the translator; an async context manager that drains on exit.

    Args:
        translator: What translates.
        beam_size: Hypotheses kept a step; None is what each model recommends.
        max_characters: Characters that may be in flight; past them a request is refused. A larger one is let in when
            nothing else is, because it would never be otherwise.
        deadline_seconds: Time from arrival to answer.
        batch_size: Most sentences that a worker searches at once.
        workers: One works in a thread of this process; more do each in a process of its own, made by fork() when this
            is entered.
        threads: Of the processor, for each of several workers; more than one only if nothing has computed in several
            threads in this process before it is entered, whose pool would not be there after a fork().
        metrics: Where it is counted what was done; None counts for nobody.

    Raises:
        ConfigError: Several workers are wanted, and there can be no processes here.
    """

    def __init__(
        self,
        translator: TextTranslator,
        *,
        beam_size: int | None = None,
        max_characters: int = 500_000,
        deadline_seconds: float = 120,
        batch_size: int = 64,
        workers: int = 1,
        threads: int = 1,
        metrics: Metrics | None = None,
    ) -> None:
        """Makes a batcher; nothing runs before it is entered."""
        self._max_characters, self._deadline_seconds = max_characters, deadline_seconds
        self._metrics = metrics or Metrics()
        self._metrics.in_flight.set_function(lambda: self.characters_in_flight)
        self._runners = self._made(workers, translator, beam_size, batch_size, threads)
        self._shared: dict[SameWork, Job] = {}
        self._jobs: dict[Job, Runner] = {}  # that may not have ended
        self._translated_characters = 0
        self._pace = Pace()
        self._counted_at = 0.0  # since when what is translated was not counted yet, while anything is in flight
        self._closing = False

    async def __aenter__(self) -> Self:
        """Starts the workers."""
        started: list[Runner] = []
        try:
            for runner in self._runners:
                await runner.start()
                started.append(runner)
        except BaseException:
            await asyncio.gather(*(runner.close() for runner in started))
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes no more, finishes what is in flight, stops the workers."""
        self._closing = True
        await asyncio.gather(*(runner.close() for runner in self._runners))

    @property
    def running(self) -> bool:
        """Whether a request that comes now would be worked on."""
        return not self._closing and any(runner.running for runner in self._runners)

    @property
    def translated_characters(self) -> int:
        """Characters of all texts that were translated since the start."""
        return self._translated_characters

    @property
    def characters_in_flight(self) -> int:
        """Characters of the requests that wait for an answer."""
        return sum(job.characters for job in self._jobs if not job.abandoned)

    async def translate(
        self,
        texts: Sequence[str],
        *,
        sources: Sequence[str],
        target: str,
        alternatives: int = 0,
        detailed: bool = True,
    ) -> "Sequence[Translation]":
        """Translates the texts of one request; the directions must have been checked before.

        A request that equals one in flight shares its work. Cancelling this call (the client went away) takes its
        texts out of the search before the next step, if nobody else waits for them.

        Args:
            texts: At least one text.
            sources: The language of each.
            target: The language wanted.
            alternatives: Further translations wanted of each; there may be more, or fewer.
            detailed: Whether tokens and word links are wanted.

        Returns:
            One translation a text, in order.

        Raises:
            BusyError: There is too much in flight.
            DeadlineError: The deadline passed.
            Exception: What the translator raised for these texts.
        """
        question = (tuple(texts), tuple(sources), target, alternatives, detailed)
        job = self._shared.get(question)
        if job is None or job.abandoned:
            job = Job(texts, sources, target, asyncio.get_running_loop().create_future(), alternatives, detailed)
            self._admit(job)
            self._shared[question] = job
        try:
            async with self._wanting(job):
                return await self._in_time(asyncio.shield(job.answer), self._deadline_seconds)
        finally:
            if job.abandoned and self._shared.get(question) is job:
                del self._shared[question]

    def stream(
        self, text: str, *, source: str, target: str, alternatives: int = 0, detailed: bool = True
    ) -> "TextStream":
        """Translates one text, and tells what is certain of it while it is searched.

        Returns:
            What is certain, each time more; at the end the translation. Closing the iterator takes the text out of
            the search before the next step.

        Raises:
            BusyError: There is too much in flight.
        """
        loop = asyncio.get_running_loop()
        job = Job([text], [source], target, loop.create_future(), alternatives, detailed)
        reader = Reader(job)
        job.listener = lambda told: loop.call_soon_threadsafe(reader.hear, told)
        self._admit(job)
        return TextStream(self._read_along(job, reader), lambda: self._abandon(job))

    async def _read_along(self, job: Job, reader: "Reader") -> "AsyncGenerator[Partial | Translation]":
        deadline, told = time.monotonic() + self._deadline_seconds, reader.partial
        async with self._wanting(job):
            while not job.answer.done():
                await self._in_time(reader.news.wait(), deadline - time.monotonic())
                reader.news.clear()
                if reader.partial != told:
                    yield (told := reader.partial)
            [translation] = await job.answer
            yield translation

    @asynccontextmanager
    async def _wanting(self, job: Job) -> AsyncIterator[None]:
        """Counts one more that waits for a job; when the last one leaves, it is abandoned."""
        job.waiting += 1
        try:
            yield
        finally:
            job.waiting -= 1
            if not job.waiting:
                self._abandon(job)

    def _abandon(self, job: Job) -> None:
        runner = self._jobs.get(job)
        if job.answer.cancel() and runner is not None:
            runner.withdraw(job)

    async def _in_time(self, awaited: Awaitable[T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds) as deadline:
                return await awaited
        except TimeoutError as error:
            raise (self._too_late() if deadline.expired() else error) from None

    def _admit(self, job: Job) -> None:
        if not self.running:
            raise BusyError(
                "The server is not translating: it is stopping, or must be restarted; try again in a moment",
                retry_after_seconds=1,
            )
        in_flight = self.characters_in_flight
        if in_flight and in_flight + job.characters > self._max_characters:
            raise BusyError(
                f"The server is busy: {in_flight} characters are being translated and at most {self._max_characters} "
                "may; try again later",
                retry_after_seconds=self._retry_after_seconds(),
            )
        if not in_flight:
            self._counted_at = time.perf_counter()
        runner = self._idlest()
        self._jobs[job] = runner
        job.answer.add_done_callback(lambda _: self._jobs.pop(job, None))
        runner.submit(job)

    def _idlest(self) -> Runner:
        """The runner that has fewest characters to translate."""
        characters = dict.fromkeys((runner for runner in self._runners if runner.running), 0)
        for job, runner in self._jobs.items():
            if runner in characters and not job.abandoned:
                characters[runner] += job.characters
        return min(characters, key=characters.__getitem__)

    def _too_late(self) -> DeadlineError:
        limit = f"{self._deadline_seconds:g} seconds"
        return DeadlineError(
            f"The translation took longer than the {limit} a request may take; send less text at once, or try again "
            "later"
        )

    def _retry_after_seconds(self) -> int:
        seconds = math.ceil(self.characters_in_flight / self._pace.characters_per_second)
        return max(1, min(seconds, LONGEST_RETRY_AFTER_SECONDS))

    def _hand_out(self, ended: Sequence[Outcome[Job]]) -> None:
        characters = 0
        for job, outcome in ended:
            job.complete(outcome)
            if not isinstance(outcome, Exception):
                characters += job.characters
                self._metrics.tokens.inc(sum(each.token_count for found in outcome for each in found.sentences))
        if characters:
            self._translated_characters += characters
            self._metrics.characters.inc(characters)
            now = time.perf_counter()
            self._pace.add(characters, now - self._counted_at)
            self._counted_at = now

    def _made(
        self, workers: int, translator: TextTranslator, beam_size: int | None, batch_size: int, threads: int
    ) -> Sequence[Runner]:
        step = self._metrics.sentences.observe
        if workers == 1:
            worker = Worker[Job](translator, beam_size=beam_size, batch_size=batch_size, step=step)
            return [ThreadRunner(worker, ended=self._hand_out)]
        work = partial(run_worker, translator=translator, beam_size=beam_size, batch_size=batch_size, threads=threads)
        lost = self._metrics.lost_workers.inc
        return [ProcessRunner(work, ended=self._hand_out, step=step, lost=lost) for _ in range(workers)]
