"""The queue of the batcher: which text is decoded next, with which neighbours. Knows no translator.

It is counted in characters, because that is what decoding time grows with. Jobs give their texts away in
turn, so a request with one text waits behind one batch, not behind another request's hundreds of texts.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from translator.inference import Translation


@dataclass(eq=False, slots=True)
class Job:
    """One request: its texts, how many of them were handed out, and the answer that somebody awaits.

    Args:
        texts: At least one.
        sources: The language code of each.
        target: Language code of the answers.
        answer: Resolves to one translation a text; done (or cancelled) means that nobody waits any more.
        alternatives: Further translations wanted of each text.
        taken: Texts handed out so far, from the first.
        waiting: Callers that await the answer.
    """

    texts: Sequence[str]
    sources: Sequence[str]
    target: str
    answer: asyncio.Future[list["Translation"]]
    alternatives: int = 0
    taken: int = 0
    waiting: int = 0
    _translations: dict[int, "Translation"] = field(default_factory=dict)

    @property
    def waiting_characters(self) -> int:
        """Characters of the texts not handed out yet."""
        return sum(map(len, self.texts[self.taken :]))

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for it any more. One atomic read: a worker thread may ask."""
        return self.answer.done()

    def deliver(self, position: int, translation: "Translation") -> None:
        """Takes the translation of one text; the last one completes the answer."""
        self._translations[position] = translation
        if len(self._translations) == len(self.texts) and not self.answer.done():
            self.answer.set_result([self._translations[i] for i in range(len(self.texts))])

    def fail(self, error: Exception) -> None:
        """Answers with an error, if anybody still waits."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Piece(NamedTuple):
    """One text of a job, on its way through the worker."""

    job: Job
    position: int

    @property
    def text(self) -> str:
        """The text itself."""
        return self.job.texts[self.position]

    @property
    def source(self) -> str:
        """Its language code."""
        return self.job.sources[self.position]


class JobQueue:
    """Jobs that have texts to hand out, bounded in characters.

    Args:
        max_characters: Characters that may wait. A larger job is let in when nothing else waits, because it
            would never be otherwise.
    """

    def __init__(self, max_characters: int) -> None:
        """Makes an empty queue."""
        self.max_characters = max_characters
        self._jobs: deque[Job] = deque()
        self._characters = 0

    def __len__(self) -> int:
        """Jobs with a text to hand out."""
        return len(self._jobs)

    @property
    def characters(self) -> int:
        """Characters that wait; what was handed out is not among them."""
        return self._characters

    def has_room_for(self, job: Job) -> bool:
        """Whether `put` may be called."""
        return not self._jobs or self._characters + job.waiting_characters <= self.max_characters

    def put(self, job: Job) -> None:
        """Appends a job."""
        self._jobs.append(job)
        self._characters += job.waiting_characters

    def withdraw(self, job: Job) -> None:
        """Takes out what still waits of a job; one that is not in the queue is ignored."""
        if job in self._jobs:
            self._jobs.remove(job)
            self._characters -= job.waiting_characters

    def take(self, *, max_texts: int, max_characters: int) -> list[Piece]:
        """Hands out one text of every job in turn until a batch is full.

        Args:
            max_texts: Most texts in the batch.
            max_characters: Most characters in the batch; a longer text comes as a batch of its own.

        Returns:
            The batch; empty only if the queue is.
        """
        batch: list[Piece] = []
        characters = 0
        while self._jobs and len(batch) < max_texts:
            job = self._jobs[0]
            piece = Piece(job, job.taken)
            if batch and characters + len(piece.text) > max_characters:
                break
            self._jobs.popleft()
            job.taken += 1
            if job.taken < len(job.texts):
                self._jobs.append(job)
            batch.append(piece)
            characters += len(piece.text)
        self._characters -= characters
        return batch
