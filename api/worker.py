"""The translator's side of the batcher: one session, in one thread or process, a turn at a time."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from api.jobs import Partial
from api.text_translator import TextTranslator
from translator.heap import return_freed_memory

if TYPE_CHECKING:  # beside what a model needs, which is imported when one is loaded and not before
    from translator.config import DecodingOptions
    from translator.inference import Translation

TIDY_SECONDS = 20.0
"""Between two times that freed memory is given back: texts of all lengths leave the heap in pieces of all sizes."""


class Work(Protocol):
    """What a worker asks of a job; the fields are those of `api.jobs.Job`."""

    @property
    def texts(self) -> Sequence[str]:
        """At least one."""

    @property
    def sources(self) -> Sequence[str]:
        """The language code of each."""

    @property
    def target(self) -> str:
        """Language code of the answers."""

    @property
    def alternatives(self) -> int:
        """Further translations wanted of each text."""

    @property
    def detailed(self) -> bool:
        """Whether tokens and word links are wanted."""

    @property
    def listener(self) -> Callable[[Partial], object] | None:
        """Told what is certain of the first text; None if nobody reads along."""

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for it any more."""


W = TypeVar("W", bound=Work)
Outcome = tuple[W, "Sequence[Translation] | Exception"]


class Worker(Generic[W]):
    """Runs the jobs that it is given in one session, where they join and leave at any step.

    What a job's texts do wrong fails that job. What the session does wrong, nobody knows whose fault it is: then each
    job is tried again in a session of its own, and only the one that fails there fails.

    Args:
        translator: What translates.
        beam_size: Hypotheses kept a step; None is what each model recommends.
        batch_size: Most sentences searched at once.
        step: Told before every step of how many sentences it is.
        clock: Seconds.
    """

    def __init__(
        self,
        translator: TextTranslator,
        *,
        beam_size: int | None,
        batch_size: int,
        step: Callable[[int], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins with nothing to do."""
        self._translator, self._step_begins = translator, step
        self._clock, self._tidied_at = clock, clock()
        self._beam_size, self._batch_size = beam_size, batch_size
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._session = self._translator.session(options=self._options, batch_size=self._batch_size)
        self._jobs: dict[int, W] = {}  # by ticket
        self._told: dict[int, Partial] = {}

    def _options(self, recommended: "DecodingOptions") -> "DecodingOptions":
        """All that the beam holds can be asked for; those that hardly differ will not count as alternatives."""
        beam_size = self._beam_size or recommended.beam_size
        return replace(recommended, beam_size=beam_size, n_best=beam_size)

    @property
    def busy(self) -> bool:
        """Whether a turn would do anything."""
        return bool(self._jobs)

    def turn(self, fresh: Iterable[W], interrupted: Callable[[], bool]) -> list[Outcome[W]]:
        """Takes jobs in, lets abandoned ones go, and advances until a job has ended or there is news.

        Args:
            fresh: Jobs that have come.
            interrupted: Asked after every step whether jobs have come or gone.

        Returns:
            The jobs that ended, each with its translations or with what went wrong.
        """
        outcomes = self._take(fresh)
        try:
            self._session.rest()
            self._withdraw_abandoned()
            while self._jobs and not outcomes:
                self._tell()
                outcomes = self._step()
                self._tidy()
                if interrupted():
                    break
        except BaseException as error:
            left = [job for job in self._jobs.values() if not job.abandoned]
            return outcomes + self._apart(left, error, interrupted)
        return outcomes

    def rest(self) -> None:
        """Lets go of models that nobody needed for a while."""
        self._session.rest()

    def _tidy(self) -> None:
        if self._clock() - self._tidied_at >= TIDY_SECONDS:
            return_freed_memory()
            self._tidied_at = self._clock()

    def _withdraw_abandoned(self) -> None:
        for ticket in [ticket for ticket, job in self._jobs.items() if job.abandoned]:
            self._session.cancel(ticket)
            self._forget(ticket)

    def _take(self, jobs: Iterable[W]) -> list[Outcome[W]]:
        outcomes: list[Outcome[W]] = []
        for job in jobs:
            try:
                self._jobs[self._admit(job)] = job
            except BaseException as error:
                outcomes.append((job, _carried(error)))
        return outcomes

    def _admit(self, job: W) -> int:
        from translator.inference import TranslationRequest

        requests = [
            TranslationRequest(text, source, job.target, job.detailed)
            for text, source in zip(job.texts, job.sources, strict=True)
        ]
        n_best = None if job.alternatives else 1
        return self._session.admit(requests, n_best=n_best, in_order=job.listener is not None)

    def _step(self) -> list[Outcome[W]]:
        self._step_begins(self._session.live)
        outcomes: list[Outcome[W]] = []
        for ticket in self._session.advance():
            job = self._forget(ticket)
            try:
                outcomes.append((job, _counted(self._session.collect(ticket), job)))
            except BaseException as error:
                outcomes.append((job, _carried(error)))
        return outcomes

    def _tell(self) -> None:
        """Tells those who read along what has settled since they were told last."""
        for ticket, job in self._jobs.items():
            if job.listener is None:
                continue
            partial = Partial(self._session.settled(ticket)[0], *self._session.progress(ticket))
            if partial != self._told.get(ticket):
                self._told[ticket] = partial
                job.listener(partial)

    def _forget(self, ticket: int) -> W:
        self._told.pop(ticket, None)
        return self._jobs.pop(ticket)

    def _apart(self, jobs: Sequence[W], error: BaseException, interrupted: Callable[[], bool]) -> list[Outcome[W]]:
        self._begin_anew()
        if len(jobs) == 1:
            return [(jobs[0], _carried(error))]
        outcomes: list[Outcome[W]] = []
        for job in jobs:
            outcomes += self._alone(job, interrupted)
        return outcomes

    def _alone(self, job: W, interrupted: Callable[[], bool]) -> list[Outcome[W]]:
        return self.turn([job], lambda: interrupted() and job.abandoned)


def _carried(error: BaseException) -> Exception:
    """Returns an error that a future can carry and that ends no thread: a panic in a Rust library is no Exception."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"The translator ended with {type(error).__name__}: {error}")


def _counted(translations: "Sequence[Translation]", job: Work) -> "Sequence[Translation]":
    if len(translations) != len(job.texts):
        raise RuntimeError(f"{len(job.texts)} texts went in and {len(translations)} translations came out.")
    return translations
