"""One model's part in a session: texts of the directions that it was taught, translated together, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from translator.checkpoint import Manifest
from translator.config import DecodingOptions
from translator.decoding import DecodingQueue
from translator.document import Document
from translator.engine import DecodingEngine
from translator.errors import ConfigError
from translator.task import TranslationTask
from translator.tokenizer import Tokenizer
from translator.translation import Translation, TranslationRequest


@dataclass
class _Caller:
    """Whose texts are on their way, and the lot of the queue that they are; the first is 1."""

    task: TranslationTask
    lot: int = 0
    failure: Exception | None = None


class ModelSession:
    """A search, the texts that are in it, and those that wait for it. Not thread-safe.

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
        # A curve holds for the search that it was fitted with, whatever the number of answers.
        self._calibrated = replace(self._options, n_best=1) == replace(manifest.decoding, n_best=1)
        self._queue = DecodingQueue(engine, tokenizer, options=self._options, batch_size=batch_size)
        self._callers: dict[int, _Caller] = {}  # by ticket
        self._tickets: dict[int, int] = {}  # by lot
        self._ended: list[int] = []
        self._admitted = 0

    @property
    def busy(self) -> bool:
        """Whether any text has not been collected."""
        return bool(self._callers)

    @property
    def live(self) -> int:
        """Sentences that are searched now; more may wait."""
        return self._queue.live

    def admit(
        self, requests: Sequence[TranslationRequest], *, n_best: int | None = None, in_order: bool = False
    ) -> int:
        """Takes the texts of one caller; returns the ticket that stands for them.

        Args:
            requests: Texts, and directions that the model was taught.
            n_best: Translations wanted of each, at most those of the session's options, which is what None asks for.
            in_order: Whether somebody reads along, and wants the first sentences first.

        Raises:
            ConfigError: `n_best` is more than the session was made for.
        """
        if n_best is not None and not 1 <= n_best <= self._options.n_best:
            raise ConfigError(
                f"n_best is {n_best}, wanted 1 to {self._options.n_best}, which the session was made for."
            )
        caller = _Caller(TranslationTask(requests, read=self._read))
        self._admitted += 1
        self._callers[self._admitted] = caller
        if caller.task.wanted:
            caller.lot = self._queue.add(caller.task.wanted, n_best=n_best, in_order=in_order)
            self._tickets[caller.lot] = self._admitted
        else:
            self._ended.append(self._admitted)
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
                if not caller.task.take(position, hypotheses):
                    continue
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

        Raises:
            KeyError: There is no such ticket, or it was collected before.
        """
        caller = self._callers[ticket]
        return caller.task.settled(lambda position: self._queue.settled(caller.lot, position))

    def progress(self, ticket: int) -> tuple[int, int]:
        """Says how many sentences of a ticket are done, and how many there are.

        Raises:
            KeyError: There is no such ticket, or it was collected before.
        """
        return self._callers[ticket].task.progress

    def _leave(self, caller: _Caller) -> None:
        self._queue.withdraw(caller.lot)
        self._tickets.pop(caller.lot, None)

    def _forget(self, ticket: int) -> _Caller:
        caller = self._callers.pop(ticket)
        self._leave(caller)
        self._ended = [ended for ended in self._ended if ended != ticket]
        return caller

    def _read(self, request: TranslationRequest) -> Document:
        return Document(
            request,
            tokenizer=self._tokenizer,
            max_source_tokens=self._manifest.max_source_tokens,
            calibration=self._manifest.calibration(request.source, request.target) if self._calibrated else None,
        )
