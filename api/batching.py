"""Continuous batching: requests join the running search at any step, and leave it when they are done.

    translate(), stream() ─▶ jobs (api.jobs) ─▶ turns of the worker (api.worker), in one thread ─▶ answers

All state of this class lives on the event loop, so there are no locks. The worker's thread gets the jobs that have come
and returns those that have ended; it asks after every step of the search whether there is news, a job that came or
one that nobody waits for any more, and then comes back for it.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from api.errors import BusyError, DeadlineError
from api.jobs import Job, Partial
from api.metrics import Metrics
from api.pace import Pace
from api.text_translator import TextTranslator
from api.worker import Outcome, Worker

if TYPE_CHECKING:  # beside torch, which is imported when a model is loaded and not before
    from translator.inference import Translation

logger = logging.getLogger(__name__)

LONGEST_RETRY_AFTER_SECONDS = 60
REST_SECONDS = 5
"""How often it is seen, while nothing is to be done, whether a model can be let go."""

T = TypeVar("T")
SameWork = tuple[tuple[str, ...], tuple[str, ...], str, int]
"""Texts, their languages, the language wanted, alternatives: equal ones have equal answers."""


class Batcher:
    """The one way from the event loop to the translator; an async context manager that drains on exit.

    Args:
        translator: What translates.
        beam_size: Hypotheses kept a step; None is what each model recommends.
        max_characters: Characters that may be in flight; past them a request is refused. A larger one is let in when
            nothing else is, because it would never be otherwise.
        deadline_seconds: Time from arrival to answer.
        batch_size: Most sentences searched at once.
        metrics: Where it is counted what was done; None counts for nobody.
    """

    def __init__(
        self,
        translator: TextTranslator,
        *,
        beam_size: int | None = None,
        max_characters: int = 500_000,
        deadline_seconds: float = 120,
        batch_size: int = 64,
        metrics: Metrics | None = None,
    ) -> None:
        """Makes a batcher; nothing runs before it is entered."""
        self._max_characters, self._deadline_seconds = max_characters, deadline_seconds
        self._metrics = metrics or Metrics()
        self._metrics.in_flight.set_function(lambda: self.characters_in_flight)
        self._worker = Worker(translator, beam_size=beam_size, batch_size=batch_size, metrics=self._metrics)
        self._shared: dict[SameWork, Job] = {}
        self._fresh: list[Job] = []
        self._jobs: set[Job] = set()
        self._translated_characters = 0
        self._pace, self._seconds_at_work = Pace(), 0.0
        self._closing = False

    async def __aenter__(self) -> Self:
        """Starts the worker thread and the task that feeds it."""
        self._news = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="translator")
        self._feeder = asyncio.create_task(self._feed())
        self._feeder.add_done_callback(_report_failure)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes no more, finishes what is in flight, stops the thread."""
        self._closing = True
        self._news.set()
        await asyncio.wait([self._feeder])  # which raises nothing, however the feeder ended
        self._thread.shutdown()

    @property
    def running(self) -> bool:
        """Whether a request that comes now would be worked on."""
        return not self._closing and not self._feeder.done()

    @property
    def translated_characters(self) -> int:
        """Characters of all texts that were translated since the start."""
        return self._translated_characters

    @property
    def characters_in_flight(self) -> int:
        """Characters of the requests that wait for an answer."""
        return sum(job.characters for job in self._jobs if not job.abandoned)

    async def translate(
        self, texts: Sequence[str], *, sources: Sequence[str], target: str, alternatives: int = 0
    ) -> "Sequence[Translation]":
        """Translates the texts of one request; the directions must have been checked before.

        A request that equals one in flight shares its work. Cancelling this call (the client went away) takes its
        texts out of the search before the next step, if nobody else waits for them.

        Args:
            texts: At least one text.
            sources: The language of each.
            target: The language wanted.
            alternatives: Further translations wanted of each; there may be more, or fewer.

        Returns:
            One translation a text, in order.

        Raises:
            BusyError: There is too much in flight.
            DeadlineError: The deadline passed.
            Exception: What the translator raised for these texts.
        """
        question = (tuple(texts), tuple(sources), target, alternatives)
        job = self._shared.get(question)
        if job is None or job.abandoned:
            job = Job(texts, sources, target, asyncio.get_running_loop().create_future(), alternatives)
            self._admit(job)
            self._shared[question] = job
        try:
            async with self._wanting(job):
                return await self._in_time(asyncio.shield(job.answer), self._deadline_seconds)
        finally:
            if job.abandoned and self._shared.get(question) is job:
                del self._shared[question]

    def stream(self, text: str, *, source: str, target: str, alternatives: int = 0) -> "TextStream":
        """Translates one text, and tells what is certain of it while it is searched.

        Returns:
            What is certain, each time more; at the end the translation. Closing the iterator takes the text out of
            the search before the next step.

        Raises:
            BusyError: There is too much in flight.
        """
        loop = asyncio.get_running_loop()
        job = Job([text], [source], target, loop.create_future(), alternatives)
        reader = _Reader(job)
        job.listener = lambda partial: loop.call_soon_threadsafe(reader.hear, partial)
        self._admit(job)
        return TextStream(self._read_along(job, reader), lambda: self._abandon(job))

    async def _read_along(self, job: Job, reader: "_Reader") -> "AsyncGenerator[Partial | Translation]":
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
        if job.answer.cancel():
            self._news.set()

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
        self._jobs.add(job)
        job.answer.add_done_callback(lambda _: self._jobs.discard(job))
        self._fresh.append(job)
        self._news.set()

    def _too_late(self) -> DeadlineError:
        limit = f"{self._deadline_seconds:g} seconds"
        return DeadlineError(
            f"The translation took longer than the {limit} a request may take; send less text at once, or try again "
            "later"
        )

    def _retry_after_seconds(self) -> int:
        seconds = math.ceil(self.characters_in_flight / self._pace.characters_per_second)
        return max(1, min(seconds, LONGEST_RETRY_AFTER_SECONDS))

    async def _feed(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            fresh = [job for job in self._fresh if not job.abandoned]
            self._fresh.clear()
            if fresh or self._worker.busy:
                started = time.perf_counter()
                ended = await loop.run_in_executor(self._thread, self._worker.turn, fresh, self._news.is_set)
                self._seconds_at_work += time.perf_counter() - started
                self._hand_out(ended)
            elif self._closing:
                return
            else:
                await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        """Waits until there is some, and now and then lets the worker rest."""
        try:
            async with asyncio.timeout(REST_SECONDS):
                await self._news.wait()
        except TimeoutError:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._worker.rest)

    def _hand_out(self, ended: Sequence[Outcome]) -> None:
        characters = 0
        for job, outcome in ended:
            job.complete(outcome)
            if not isinstance(outcome, Exception):
                characters += job.characters
                self._metrics.tokens.inc(sum(len(translation.tokens) for translation in outcome))
        if characters:
            self._translated_characters += characters
            self._metrics.characters.inc(characters)
            self._pace.add(characters, self._seconds_at_work)
            self._seconds_at_work = 0.0


class TextStream:
    """What a reader gets: the generator, and an end also for one who leaves before the first word.

    A generator that was never begun runs none of its own end.
    """

    def __init__(self, told: "AsyncGenerator[Partial | Translation]", abandon: Callable[[], None]) -> None:
        """Reads nothing yet."""
        self._generator, self._abandon = told, abandon

    def __aiter__(self) -> "TextStream":
        """Returns itself."""
        return self

    async def __anext__(self) -> "Partial | Translation":
        """Waits for the next word."""
        return await anext(self._generator)

    async def aclose(self) -> None:
        """Leaves; the text leaves the search."""
        await self._generator.aclose()
        self._abandon()


class _Reader:
    """Somebody who reads along: the last word from the worker, and whether there is one, or an end, since."""

    def __init__(self, job: Job) -> None:
        """Has read nothing; the end of the job is news as well."""
        self.partial, self.news = Partial("", 0, 0), asyncio.Event()
        job.answer.add_done_callback(lambda _: self.news.set())

    def hear(self, partial: Partial) -> None:
        """Takes what is certain, if it is more; a slow reader misses what is between, which the next word holds too.

        It is less where the search had to begin anew because a neighbour broke it.
        """
        if (len(partial.text), partial.done) >= (len(self.partial.text), self.partial.done):
            self.partial = partial
            self.news.set()


def _report_failure(feeder: asyncio.Task[None]) -> None:
    if not feeder.cancelled() and (error := feeder.exception()) is not None:
        logger.critical("Nothing is translated any more; restart the service", exc_info=error)
