"""Dynamic batching: requests that arrive together are decoded together, in one worker thread.

    translate() ─▶ queue of jobs (api.jobs) ─▶ batch ─▶ worker thread ─▶ answers

While the worker is busy the next batch gathers by itself; an idle worker waits a few milliseconds for
neighbours. All state lives on the event loop, so there are no locks. The worker thread gets plain requests
and one question to ask: does anybody still wait for this batch?

A seam for later: the translator's search can admit and drop sentences at any step; here a batch runs to its
end before the next begins, so one very long text holds the others up.
"""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from api.errors import BusyError, DeadlineError
from api.jobs import Job, JobQueue, Piece
from api.metrics import Metrics
from api.pace import Pace
from api.text_translator import TextTranslator

if TYPE_CHECKING:  # beside torch, which is imported when a model is loaded and not before
    from translator.config import DecodingOptions
    from translator.inference import Translation

logger = logging.getLogger(__name__)

LONGEST_RETRY_AFTER_SECONDS = 60

Question = tuple[tuple[str, ...], tuple[str, ...], str, int]
"""Texts, their languages, the language wanted, alternatives: equal ones have equal answers."""


class Batcher:
    """The one way from the event loop to the translator; an async context manager that drains on exit.

    Args:
        translator: What translates.
        options: How the search runs; None is the translator's default.
        queue_characters: Characters that may wait; past them a request is refused.
        deadline_seconds: Time from arrival to answer.
        batch_wait_seconds: Time an idle worker waits for neighbours of a first text; 0 is off.
        max_batch_texts: Most texts in a batch.
        max_batch_characters: Most characters in a batch; a longer text is a batch of its own.
        metrics: Where it is counted what was done; None counts for nobody.
    """

    def __init__(
        self,
        translator: TextTranslator,
        *,
        options: "DecodingOptions | None" = None,
        queue_characters: int = 500_000,
        deadline_seconds: float = 120,
        batch_wait_seconds: float = 0.005,
        max_batch_texts: int = 64,
        max_batch_characters: int = 8_000,
        metrics: Metrics | None = None,
    ) -> None:
        """Makes a batcher; nothing runs before it is entered."""
        self._translator = translator
        self._options = options
        self._deadline_seconds = deadline_seconds
        self._batch_wait_seconds = batch_wait_seconds
        self._max_batch_texts = max_batch_texts
        self._max_batch_characters = max_batch_characters
        self._queue = JobQueue(queue_characters)
        self._in_flight: dict[Question, Job] = {}
        self._characters_in_hand = 0
        self._translated_characters = 0
        self._metrics = metrics or Metrics()
        self._metrics.waiting.set_function(lambda: self._queue.characters)
        self._pace = Pace()
        self._closing = False

    async def __aenter__(self) -> Self:
        """Starts the worker thread and the task that feeds it."""
        self._wake = asyncio.Event()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="translator")
        self._feeder = asyncio.create_task(self._feed())
        self._feeder.add_done_callback(_report_failure)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes no more, finishes what waits, stops the thread."""
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._feeder])  # which raises nothing, however the feeder ended
        self._worker.shutdown()

    @property
    def running(self) -> bool:
        """Whether a request that comes now would be worked on."""
        return not self._closing and not self._feeder.done()

    @property
    def translated_characters(self) -> int:
        """Characters of all texts that were translated since the start."""
        return self._translated_characters

    @property
    def waiting_characters(self) -> int:
        """Characters in the queue; what the worker has in hand is not among them."""
        return self._queue.characters

    async def translate(
        self, texts: Sequence[str], *, sources: Sequence[str], target: str, alternatives: int = 0
    ) -> list["Translation"]:
        """Translates the texts of one request; the directions must have been checked before.

        A request that equals one in flight shares its work.
        Cancelling this call (the client went away) takes what still waits out of the queue if nobody else waits for
        it, and stops the worker once nobody waits for any text of its batch.

        Args:
            texts: At least one text.
            sources: The language of each.
            target: The language wanted.
            alternatives: Further translations wanted of each; there may be more, or fewer.

        Returns:
            One translation a text, in order.

        Raises:
            BusyError: The queue is full, or the deadline passed before the last text had its turn.
            DeadlineError: The deadline passed while the worker was at the last text.
            Exception: What the translator raised for these texts.
        """
        question = (tuple(texts), tuple(sources), target, alternatives)
        job = self._in_flight.get(question)
        if job is None:
            job = Job(texts, sources, target, asyncio.get_running_loop().create_future(), alternatives)
            self._admit(job)
            self._in_flight[question] = job
        job.waiting += 1
        try:
            async with asyncio.timeout(self._deadline_seconds) as deadline:
                return await asyncio.shield(job.answer)
        except TimeoutError as error:
            raise (self._too_late(job) if deadline.expired() else error) from None
        finally:
            job.waiting -= 1
            if not job.waiting:
                del self._in_flight[question]
                self._queue.withdraw(job)
                job.answer.cancel()

    def _admit(self, job: Job) -> None:
        if not self.running:
            raise BusyError(
                "The server is not translating: it is stopping, or must be restarted; try again in a moment",
                retry_after_seconds=1,
            )
        if not self._queue.has_room_for(job):
            raise BusyError(
                f"The server is busy: {self._queue.characters} characters are waiting and at most "
                f"{self._queue.max_characters} may; try again later",
                retry_after_seconds=self._retry_after_seconds(),
            )
        self._queue.put(job)
        self._wake.set()

    def _too_late(self, job: Job) -> Exception:
        limit = f"{self._deadline_seconds:g} seconds"
        if job.taken < len(job.texts):
            message = f"The request was still waiting for its turn after {limit}; try again later"
            return BusyError(message, retry_after_seconds=self._retry_after_seconds())
        return DeadlineError(f"The translation took longer than the {limit} a request may take; send less text at once")

    def _retry_after_seconds(self) -> int:
        characters = self._queue.characters + self._characters_in_hand
        seconds = math.ceil(characters / self._pace.characters_per_second)
        return max(1, min(seconds, LONGEST_RETRY_AFTER_SECONDS))

    async def _feed(self) -> None:
        while self._queue or not self._closing:
            if self._queue:
                await self._decode(
                    self._queue.take(max_texts=self._max_batch_texts, max_characters=self._max_batch_characters)
                )
            else:
                self._wake.clear()
                await self._wake.wait()
                await asyncio.sleep(self._batch_wait_seconds)

    async def _decode(self, batch: Sequence[Piece]) -> None:
        """Decodes a batch and hands the translations out; an error reaches only the job it belongs to."""
        wanted = [piece for piece in batch if not piece.job.abandoned]
        if not wanted:
            return
        started = time.perf_counter()
        self._characters_in_hand = sum(len(piece.text) for piece in wanted)
        try:
            translations = await asyncio.get_running_loop().run_in_executor(self._worker, self._call, wanted)
            self._pace.add(self._characters_in_hand, time.perf_counter() - started)
            self._count(translations)
        except Exception as error:
            await self._decode_apart(wanted, error)
        else:
            for piece, translation in zip(wanted, translations, strict=True):
                piece.job.deliver(piece.position, translation)
        finally:
            self._characters_in_hand = 0

    def _count(self, translations: Sequence["Translation"]) -> None:
        self._translated_characters += self._characters_in_hand
        self._metrics.batches.observe(len(translations))
        self._metrics.characters.inc(self._characters_in_hand)
        self._metrics.tokens.inc(sum(len(translation.tokens) for translation in translations))

    async def _decode_apart(self, batch: Sequence[Piece], error: Exception) -> None:
        """Tries the jobs of a failed batch one by one; a job that fails alone fails."""
        jobs = list(dict.fromkeys(piece.job for piece in batch))
        if len(jobs) > 1:
            for job in jobs:
                await self._decode([piece for piece in batch if piece.job is job])
        else:
            jobs[0].fail(error)
            self._queue.withdraw(jobs[0])

    def _call(self, batch: Sequence[Piece]) -> Sequence["Translation"]:
        """Runs in the worker thread; changes nothing that the event loop reads."""
        from translator.inference import TranslationRequest

        try:
            translations = self._translator.translate_many(
                [TranslationRequest(piece.text, piece.source, piece.job.target) for piece in batch],
                options=self._search(max(piece.job.alternatives for piece in batch)),
                cancelled=lambda: all(piece.job.abandoned for piece in batch),
            )
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, StopIteration):
                raise
            # A panic in a Rust library is no Exception and would end the feeder; no future can carry StopIteration.
            raise RuntimeError(f"The translator ended with {type(error).__name__}: {error}") from error
        if len(translations) != len(batch):
            raise RuntimeError(f"{len(batch)} texts went in and {len(translations)} translations came out.")
        return translations

    def _search(self, alternatives: int) -> "DecodingOptions | None":
        """Asks for more answers where somebody wants them; never for another search, which neighbours would notice.

        All that the beam holds, because those that hardly differ will not count as alternatives.
        """
        if not alternatives:
            return self._options
        options = self._options or self._translator.manifest.decoding
        return replace(options, n_best=options.beam_size)


def _report_failure(feeder: asyncio.Task[None]) -> None:
    if not feeder.cancelled() and (error := feeder.exception()) is not None:
        logger.critical("Nothing is translated any more; restart the service", exc_info=error)
