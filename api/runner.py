"""Who runs jobs: a worker in a thread of this process, or one in a process of its own (`api.process_runner`)."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from api.jobs import Job
from api.worker import Outcome, Worker

logger = logging.getLogger(__name__)

REST_SECONDS = 5
"""How often it is seen, while nothing is to be done, whether a model can be let go."""

Ended = Callable[[Sequence[Outcome[Job]]], None]
"""Told, on the event loop, the jobs that ended and what came of each."""


class Runner(Protocol):
    """Runs jobs; all its methods are for the event loop. It tells the jobs that ended to whoever made it."""

    @property
    def running(self) -> bool:
        """Whether a job that comes now would be worked on."""

    async def start(self) -> None:
        """Begins."""

    def submit(self, job: Job) -> None:
        """Takes a job."""

    def withdraw(self, job: Job) -> None:
        """Hears that nobody waits for a job any more; it leaves the search before the next step."""

    async def close(self) -> None:
        """Finishes what it has, then ends."""


class ThreadRunner:
    """Runs jobs in one thread.

    All state of this class lives on the event loop, so there are no locks. The thread gets the jobs that have come and
    returns those that have ended; it asks after every step of the search whether there is news, a job that came or
    one that nobody waits for any more, and then comes back for it.

    Args:
        worker: What the thread does.
        ended: Told what came of jobs.
    """

    def __init__(self, worker: Worker[Job], *, ended: Ended) -> None:
        """Runs nothing before it is started."""
        self._worker, self._ended = worker, ended
        self._fresh: list[Job] = []
        self._closing = False

    @property
    def running(self) -> bool:
        """Whether a job that comes now would be worked on."""
        return not self._feeder.done()

    async def start(self) -> None:
        """Starts the thread and the task that feeds it."""
        self._news = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="translator")
        self._feeder = asyncio.create_task(self._feed())
        self._feeder.add_done_callback(report_failure)

    def submit(self, job: Job) -> None:
        """Takes a job."""
        self._fresh.append(job)
        self._news.set()

    def withdraw(self, job: Job) -> None:
        """Hears that nobody waits for a job any more."""
        self._news.set()

    async def close(self) -> None:
        """Finishes what it has, then stops the thread."""
        self._closing = True
        self._news.set()
        await asyncio.wait([self._feeder])  # which raises nothing, however the feeder ended
        self._thread.shutdown()

    async def _feed(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            fresh = [job for job in self._fresh if not job.abandoned]
            self._fresh.clear()
            if fresh or self._worker.busy:
                self._ended(await loop.run_in_executor(self._thread, self._worker.turn, fresh, self._news.is_set))
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


def report_failure(task: asyncio.Task[None]) -> None:
    """Says of a task that should never fail that it did."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("A worker translates nothing any more; restart the service", exc_info=error)
