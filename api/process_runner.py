"""The parent's side of a worker process: jobs go in, what came of them comes out, and a process that dies is replaced.

What runs in the process is in `api.worker_process`. Nobody knows which of its jobs a dead process died of, so its
successor gets them one by one before it takes others; only one that the successor dies of as well fails.
"""

import asyncio
import atexit
import contextlib
import itertools
import logging
import multiprocessing
import pickle
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from api import worker_process
from api.jobs import Job
from api.runner import Ended, report_failure
from api.worker_process import LENGTH, Order, Told, Withdrawal, packed
from translator.processes import check_fork

logger = logging.getLogger(__name__)

DEATHS_IN_VAIN = 3
"""A process that dies so many times in a row without any job is not replaced."""
LAST_STEP_SECONDS = 1
"""For a process to end when its channel was closed."""
PAUSES_SECONDS = (1, 2, 4, 8, 16, 32, 64, 64, 64)
"""Between the times that a process is tried to be made; each that fails costs multiprocessing four file descriptors."""


class ProcessRunner:
    """Runs jobs in a process of its own. All its state lives on the event loop.

    Args:
        work: What the process does with its end of the channel, until that is closed; run after a fork().
        ended: Told what came of jobs.
        step: Told of every step of how many sentences it was, some time later.
        lost: Told that a process has died.

    Raises:
        ConfigError: There can be no such process here.
    """

    def __init__(
        self,
        work: Callable[[socket.socket], None],
        *,
        ended: Ended,
        step: Callable[[int], object],
        lost: Callable[[], object],
    ) -> None:
        """Runs nothing before it is started."""
        check_fork()
        self._work, self._ended, self._step, self._lost = work, ended, step, lost
        self._numbers = itertools.count()
        self._jobs: dict[int, Job] = {}  # in the process
        self._suspects: deque[Job] = deque()  # one of them the process before may have died of
        self._waiting: list[Job] = []  # until there are no suspects any more
        self._alive = self._on_trial = self._closing = False
        self._missing = False  # whether there should be a process and none can be made
        self._unused = True  # whether this process was never given a job
        self._deaths_in_vain = 0

    @property
    def running(self) -> bool:
        """Whether a job that comes now would be worked on."""
        return not self._attendant.done() and not self._missing

    async def start(self) -> None:
        """Starts the process, and the task that attends to it."""
        await self._launch()
        self._attendant = asyncio.create_task(self._attend())
        self._attendant.add_done_callback(report_failure)

    def submit(self, job: Job) -> None:
        """Takes a job."""
        self._waiting.append(job)
        self._go_on()

    def withdraw(self, job: Job) -> None:
        """Hears that nobody waits for a job any more."""
        for number in [number for number, each in self._jobs.items() if each is job]:
            self._tell(Withdrawal(number))  # it counts as there until the process says that it has left

    async def close(self) -> None:
        """Finishes what it has, then ends the process."""
        self._closing = True
        while (left := self._left()) and not self._attendant.done():
            ends: list[asyncio.Future[Any]] = [self._attendant, *(job.answer for job in left)]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        self._writer.transport.abort()  # what was not sent is not wanted any more
        await asyncio.wait([self._attendant])  # which raises nothing, however it ended

    def _left(self) -> list[Job]:
        return [job for job in (*self._jobs.values(), *self._suspects, *self._waiting) if not job.abandoned]

    async def _launch(self) -> None:
        ours, theirs = socket.socketpair()
        fork = multiprocessing.get_context("fork")
        self._process = fork.Process(target=self._work, args=(theirs,), daemon=True)
        try:
            self._process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        atexit.register(self._process.kill)  # where nobody closes the channel, it must not outlive this one
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        self._alive, self._unused = True, True

    async def _attend(self) -> None:
        """Reads what the process says, and replaces it when it dies."""
        try:
            while True:
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                    while True:
                        [length] = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
                        self._hear(pickle.loads(await self._reader.readexactly(length)))
                self._alive = False
                self._writer.transport.abort()
                await asyncio.get_running_loop().run_in_executor(None, self._bury)
                if self._closing and not self._left():
                    return
                self._mourn()
                await self._replace()
                if not self._alive:
                    return
                self._go_on()
        finally:
            self._alive = False
            self._writer.transport.abort()
            failure = RuntimeError("The worker process that should have translated this is no more.")
            self._ended([(job, failure) for job in self._left()])

    async def _replace(self) -> None:
        """Makes another process, if one is wanted; where there is no room for it, tries again for some minutes."""
        for pause in (*PAUSES_SECONDS, None):
            if self._closing and not self._left():
                return
            try:
                await self._launch()
            except OSError as error:
                if pause is None:
                    raise
                self._missing = True
                self._suspects = deque(job for job in self._suspects if not job.abandoned)
                self._waiting = [job for job in self._waiting if not job.abandoned]
                logger.error("No worker process can be made (%s); trying again in %g s.", error, pause)
                await asyncio.sleep(pause)
            else:
                self._missing = False
                break
        if self._closing and not self._left():  # meanwhile the last one has stopped waiting
            self._writer.transport.abort()

    def _bury(self) -> None:
        self._process.join(LAST_STEP_SECONDS)
        self._process.kill()
        self._process.join()
        atexit.unregister(self._process.kill)

    def _hear(self, message: object) -> None:
        match message:
            case Told(number, partial):
                if (job := self._jobs.get(number)) is not None and job.listener is not None:
                    job.listener(partial)
            case worker_process.Ended(outcomes, steps):
                for sentences in steps:
                    self._step(sentences)
                self._deaths_in_vain = 0
                self._ended([(self._jobs.pop(number), found) for number, found in outcomes if number in self._jobs])
                self._go_on()

    def _mourn(self) -> None:
        """Suspects the jobs of a process that died; if there was but one on trial, that one fails."""
        self._lost()
        how = f"exit code {self._process.exitcode}"
        jobs = [job for job in self._jobs.values() if not job.abandoned]
        self._jobs.clear()
        self._deaths_in_vain = self._deaths_in_vain + 1 if self._unused else 0
        if self._deaths_in_vain >= DEATHS_IN_VAIN:
            raise RuntimeError(f"Worker processes die again and again with nothing to do, the last with {how}.")
        logger.error("A worker process died with %s and %d requests; another takes its place.", how, len(jobs))
        if self._on_trial:
            failure = RuntimeError(f"Two processes died while they translated this request, the last with {how}.")
            self._ended([(job, failure) for job in jobs])
        else:
            self._suspects.extend(jobs)
            self._on_trial = True

    def _go_on(self) -> None:
        """Sends what may be sent now: while there are suspects one of them alone, then all that wait."""
        if not self._alive or (self._on_trial and self._jobs):
            return
        while self._on_trial and not self._jobs:
            if self._suspects:
                self._send(self._suspects.popleft())
            else:
                self._on_trial = False
        if not self._on_trial:
            waiting, self._waiting = self._waiting, []
            for job in waiting:
                self._send(job)

    def _send(self, job: Job) -> None:
        if not job.abandoned:
            number = next(self._numbers)
            self._jobs[number], self._unused = job, False
            along = job.listener is not None
            self._tell(Order(number, job.texts, job.sources, job.target, job.alternatives, job.detailed, along))

    def _tell(self, message: Order | Withdrawal) -> None:
        if self._alive:
            self._writer.write(packed(message))
