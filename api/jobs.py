"""One request on its way between the event loop and the translator."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from translator.inference import Translation


class Partial(NamedTuple):
    """What is certain of a translation under way.

    Args:
        text: What it will begin with.
        done: Sentences that have ended.
        total: Sentences in all.
    """

    text: str
    done: int
    total: int


@dataclass(eq=False)
class Job:
    """The texts of one request, and the answer that somebody awaits.

    Args:
        texts: At least one.
        sources: The language code of each.
        target: Language code of the answers.
        answer: Resolves to one translation a text; done (or cancelled) means that nobody waits any more.
        alternatives: Further translations wanted of each text.
        detailed: Whether tokens and word links are wanted.
        listener: Told, perhaps in a worker's thread, what is certain of the first text whenever that is more; None if
            nobody reads along.
        waiting: Callers that await the answer.
    """

    texts: Sequence[str]
    sources: Sequence[str]
    target: str
    answer: "asyncio.Future[Sequence[Translation]]"
    alternatives: int = 0
    detailed: bool = True
    listener: Callable[[Partial], object] | None = None
    waiting: int = 0

    @cached_property
    def characters(self) -> int:
        """Characters of all texts: decoding time grows with them."""
        return sum(map(len, self.texts))

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for it any more. One atomic read: a worker thread may ask."""
        return self.answer.done()

    def complete(self, translations: "Sequence[Translation] | Exception") -> None:
        """Answers, or says what went wrong, if anybody still waits."""
        if self.answer.done():
            return
        if isinstance(translations, Exception):
            self.answer.set_exception(translations)
        else:
            self.answer.set_result(translations)
