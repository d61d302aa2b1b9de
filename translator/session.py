"""Texts of many callers, translated together: they come and go at any step, and none sees the others.

    admit() -> ticket ... advance(), advance(), ... -> tickets that have ended ... collect(ticket) -> translations

Translating a file, streaming one answer and serving many clients at once are three callers of this one machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from translator.checkpoint import Manifest
from translator.config import DecodingOptions
from translator.decoding import DecodingQueue
from translator.document import Document
from translator.engine import DecodingEngine
from translator.errors import ConfigError, LanguageError
from translator.pivot import reachable
from translator.task import Progress, TranslationTask
from translator.tokenizer import Tokenizer
from translator.translation import Translation, TranslationRequest


@dataclass
class _Caller:
    """Whose texts are on their way, and how they were asked for."""

    task: TranslationTask
    n_best: int | None
    in_order: bool
    lot: int = 0  # of the queue, whose first is 1
    failure: Exception | None = None


class TranslationSession:
    """A search, the texts that are in it, and those that wait for it. Not thread-safe.

    Example:
        >>> session = Translator.load().session()  # doctest: +SKIP
        >>> ticket = session.admit([TranslationRequest("Good morning!", "en", "de")])  # doctest: +SKIP
        >>> while ticket not in session.advance():  # doctest: +SKIP
        ...     print(session.settled(ticket))
        >>> session.collect(ticket)[0].text  # doctest: +SKIP
        'Guten Morgen!'

    Args:
        engine: The model.
        tokenizer: Of the model.
        manifest: Of the model.
        options: How to search; `n_best` is the most that a caller may ask for. None takes what the checkpoint
            recommends.
        batch_size: Most sentences searched at once; some more for a while when new texts come.
    """

    def __init__(
        self,
        engine: DecodingEngine,
        tokenizer: Tokenizer,
        manifest: Manifest,
        *,
        options: DecodingOptions | None = None,
        batch_size: int = 64,
    ) -> None:
        """Begins with nothing to do."""
        self._tokenizer, self._manifest = tokenizer, manifest
        self._options = options or manifest.decoding
        self._queue = DecodingQueue(engine, tokenizer, options=self._options, batch_size=batch_size)
        self._callers: dict[int, _Caller] = {}  # by ticket
        self._tickets: dict[int, int] = {}  # by lot
        self._ended: list[int] = []
        self._admitted = 0

    @property
    def busy(self) -> bool:
        """Whether any text has not ended."""
        return self._queue.busy or bool(self._ended)

    @property
    def live(self) -> int:
        """Sentences that are searched now; more may wait."""
        return self._queue.live

    def admit(
        self,
        requests: Sequence[TranslationRequest],
        *,
        n_best: int | None = None,
        in_order: bool = False,
        progress: Progress | None = None,
    ) -> int:
        """Takes the texts of one caller; returns the ticket that stands for them.

        Args:
            requests: Texts and directions.
            n_best: Translations wanted of each, at most those of the session's options, which is what None asks for.
            in_order: Whether somebody reads along, and wants the first sentences first.
            progress: Told (sentences done, sentences in all) as sentences end.

        Raises:
            TypeError: A text is none.
            ConfigError: `n_best` is more than the session was made for.
            LanguageError: A direction is not translated.
        """
        self._check(requests)
        if n_best is not None and not 1 <= n_best <= self._options.n_best:
            raise ConfigError(
                f"n_best is {n_best}, wanted 1 to {self._options.n_best}, which the session was made for."
            )
        task = TranslationTask(requests, self._manifest.directions, read=self._read, progress=progress)
        self._admitted += 1
        self._callers[self._admitted] = _Caller(task, n_best, in_order)
        self._search(self._admitted)
        return self._admitted

    def cancel(self, ticket: int) -> None:
        """Forgets texts; what is searched of them leaves before the next step. An unknown ticket is ignored."""
        if ticket in self._callers:
            self._forget(ticket)

    def advance(self) -> list[int]:
        """Writes one token of every sentence in the search; returns the tickets whose texts have all ended."""
        for lot, position, hypotheses in self._queue.advance() if self._queue.busy else ():
            if (ticket := self._tickets.get(lot)) is None:
                continue  # another sentence of it could not be put together
            caller = self._callers[ticket]
            try:
                if caller.task.take(position, hypotheses):
                    self._search(ticket)
            except Exception as error:
                caller.failure = error
                self._leave(caller)
                self._ended.append(ticket)
        ended, self._ended = self._ended, []
        return ended

    def collect(self, ticket: int) -> list[Translation]:
        """Gives the translations of a ticket that has ended, in order, and forgets it.

        Raises:
            KeyError: There is no such ticket, or it was collected before.
            Exception: What went wrong when its texts were put together.
        """
        caller = self._forget(ticket)
        if caller.failure is not None:
            raise caller.failure
        return caller.task.translations

    def settled(self, ticket: int) -> list[str]:
        """Says what the translation of each text of a live ticket will begin with; it only grows.

        Of a direction that goes through a third language nothing is known before the second way.

        Raises:
            KeyError: There is no such ticket, or it was collected before.
        """
        caller = self._callers[ticket]
        return caller.task.settled(lambda position: self._queue.settled(caller.lot, position))

    def progress(self, ticket: int) -> tuple[int, int]:
        """Says how many sentences of a live ticket are done, and how many there are.

        Raises:
            KeyError: There is no such ticket, or it was collected before.
        """
        return self._callers[ticket].task.done

    def _search(self, ticket: int) -> None:
        """Sends a caller's sentences into the search, or, if it wants none any more, among those that have ended."""
        caller = self._callers[ticket]
        self._leave(caller)
        if caller.task.wanted:
            caller.lot = self._queue.add(caller.task.wanted, n_best=caller.n_best, in_order=caller.in_order)
            self._tickets[caller.lot] = ticket
        else:
            self._ended.append(ticket)

    def _leave(self, caller: "_Caller") -> None:
        self._queue.withdraw(caller.lot)
        self._tickets.pop(caller.lot, None)

    def _forget(self, ticket: int) -> "_Caller":
        caller = self._callers.pop(ticket)
        self._leave(caller)
        self._ended = [ended for ended in self._ended if ended != ticket]
        return caller

    def _check(self, requests: Sequence[TranslationRequest]) -> None:
        for number, request in enumerate(requests):
            if not isinstance(request, TranslationRequest):
                raise TypeError(f"Requests are TranslationRequest, and number {number} is {type(request).__name__}.")
            if not isinstance(request.text, str):
                raise TypeError(
                    f"Texts are str, and number {number} is {type(request.text).__name__}; decode it first."
                )
        for source, target in {(request.source, request.target) for request in requests}:
            check_direction(source, target, self._manifest)

    def _read(self, request: TranslationRequest) -> Document:
        # A curve holds for the search that it was fitted with, whatever the number of answers.
        calibrated = replace(self._options, n_best=1) == replace(self._manifest.decoding, n_best=1)
        return Document(
            request,
            tokenizer=self._tokenizer,
            max_source_tokens=self._manifest.max_source_tokens,
            calibration=self._manifest.calibration(request.source, request.target) if calibrated else None,
        )


def check_direction(source: str, target: str, manifest: Manifest) -> None:
    """Refuses a direction that the model leads to on no way.

    Raises:
        LanguageError: With the languages or directions there are.
    """
    for language in (source, target):
        if language not in manifest.languages:
            raise LanguageError(f"{language!r} is not supported; choose from: {', '.join(manifest.languages)}.")
    if (source, target) not in (directions := reachable(manifest.directions)):
        known = ", ".join(f"{one} to {other}" for one, other in directions)
        raise LanguageError(f"{source!r} to {target!r} is not supported; choose from: {known}.")
