"""One text that somebody reads along: what its reader is told, and an end for one who leaves early."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

from api.jobs import Job, Partial

if TYPE_CHECKING:  # beside what a model needs, which is imported when one is loaded and not before
    from translator.inference import Translation


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


class Reader:
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
