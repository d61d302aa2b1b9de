"""The texts of one caller on their way: read, searched sentence by sentence, put together; twice if through a pivot."""

from collections.abc import Callable, Collection, Sequence

from translator.document import Document
from translator.pivot import Direction, legs
from translator.scoring import Hypothesis
from translator.translation import Translation, TranslationRequest

Ids = tuple[int, ...]
Progress = Callable[[int, int], None]
"""Told (sentences done, sentences in all)."""


class TranslationTask:
    """A list of requests that says which sentences it wants searched, until it has its translations.

    Args:
        requests: Each of a direction that can be reached.
        taught: The directions that the model was taught.
        read: Takes a text apart.
        progress: Told of both legs as of one; the second is taken to be as long as the first.
    """

    def __init__(
        self,
        requests: Sequence[TranslationRequest],
        taught: Collection[Direction],
        *,
        read: Callable[[TranslationRequest], Document],
        progress: Progress | None = None,
    ) -> None:
        """Reads the texts."""
        self._read, self._progress = read, progress
        self._legs = legs(requests, taught)
        self._ahead = 1 if any((source, target) not in taught for _, source, target in requests) else 0  # legs
        self._before = 0  # sentences of the leg before
        self._translations: list[Translation] | None = None
        self._begin(next(self._legs))

    @property
    def wanted(self) -> list[Ids]:
        """The sources of the leg under way, each once; none when the translations are there."""
        return self._wanted

    @property
    def translations(self) -> list[Translation]:
        """One for each request, in order.

        Raises:
            RuntimeError: Not all is searched yet.
        """
        if self._translations is None:
            raise RuntimeError("The translations were asked for too early; search what is wanted first.")
        return self._translations

    @property
    def done(self) -> tuple[int, int]:
        """Sentences done and sentences in all, of both legs as of one."""
        done, count = self._done, len(self._wanted)
        if self._before:
            return self._before + (self._before * done // count if count else self._before), 2 * self._before
        return done, (1 + self._ahead) * count

    def take(self, position: int, hypotheses: list[Hypothesis]) -> bool:
        """Takes the n-best of a wanted sentence; returns whether that was the last of this leg."""
        ids = self._wanted[position]
        for document in self._asking[ids]:
            document.take(ids, hypotheses)
        self._done += 1
        self._tell()
        if self._done < len(self._wanted):
            return False
        self._end()
        return True

    def settled(self, ids_of: Callable[[int], Sequence[int]]) -> list[str]:
        """Says what each translation will begin with; it only grows. Of the way to a pivot nothing is told.

        Args:
            ids_of: Tells the target ids that the best hypothesis of a wanted sentence, given by its position, will
                begin with.
        """
        if self._ahead:
            return ["" for _ in self._documents]
        return [document.settled(lambda ids: ids_of(self._places[ids])) for document in self._documents]

    def _begin(self, requests: Sequence[TranslationRequest]) -> None:
        self._documents = [self._read(request) for request in requests]
        # What is said twice is translated once.
        self._asking: dict[Ids, list[Document]] = {}
        for document in self._documents:
            for ids in dict.fromkeys(tuple(sentence.ids) for sentence in document.sentences):
                self._asking.setdefault(ids, []).append(document)
        self._wanted = list(self._asking)
        self._places = {ids: position for position, ids in enumerate(self._wanted)}
        self._done = 0
        if not self._wanted:
            self._end()

    def _end(self) -> None:
        try:
            requests = self._legs.send([document.assemble() for document in self._documents])
        except StopIteration as last:
            self._wanted, self._translations = [], last.value
        else:
            self._before, self._ahead = len(self._wanted), self._ahead - 1
            self._begin(requests)

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(*self.done)
