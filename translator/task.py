"""The texts of one caller on their way through a model: read, searched sentence by sentence, put together."""

from collections.abc import Callable, Sequence

from translator.document import Document
from translator.scoring import Hypothesis
from translator.translation import Translation, TranslationRequest

Ids = tuple[int, ...]


class TranslationTask:
    """A list of requests that says which sentences it wants searched, until it has its translations.

    Args:
        requests: Each of a direction that the model was taught.
        read: Takes a text apart.
    """

    def __init__(
        self, requests: Sequence[TranslationRequest], *, read: Callable[[TranslationRequest], Document]
    ) -> None:
        """Reads the texts."""
        self._documents = [read(request) for request in requests]
        # What is said twice is translated once.
        self._asking: dict[Ids, list[Document]] = {}
        for document in self._documents:
            for ids in dict.fromkeys(tuple(sentence.ids) for sentence in document.sentences):
                self._asking.setdefault(ids, []).append(document)
        self._wanted = list(self._asking)
        self._places = {ids: position for position, ids in enumerate(self._wanted)}
        self._done = 0
        self._translations: list[Translation] | None = None
        self._end_if_done()

    @property
    def wanted(self) -> list[Ids]:
        """The sources to be searched, each once."""
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
    def progress(self) -> tuple[int, int]:
        """Sentences done and sentences in all."""
        return self._done, len(self._wanted)

    def take(self, position: int, hypotheses: list[Hypothesis]) -> bool:
        """Takes the n-best of a wanted sentence; returns whether that was the last."""
        ids = self._wanted[position]
        for document in self._asking[ids]:
            document.take(ids, hypotheses)
        self._done += 1
        return self._end_if_done()

    def settled(self, ids_of: Callable[[int], Sequence[int]]) -> list[str]:
        """Says what each translation will begin with; it only grows.

        Args:
            ids_of: Tells the target ids that the best hypothesis of a wanted sentence, given by its position, will
                begin with.
        """
        return [document.settled(lambda ids: ids_of(self._places[ids])) for document in self._documents]

    def _end_if_done(self) -> bool:
        if self._done < len(self._wanted):
            return False
        self._translations = [document.assemble() for document in self._documents]
        return True
