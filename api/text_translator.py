"""What the service asks of a translator, so that it can be served, and tested, without importing torch."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # beside what a model needs, which is imported when one is loaded and not before
    from translator.config import DecodingOptions
    from translator.inference import Translation, TranslationRequest

    Options = Callable[[DecodingOptions], DecodingOptions]


class ModelFacts(Protocol):
    """What the service reads of a checkpoint's manifest."""

    @property
    def name(self) -> str:
        """Of the model."""

    @property
    def weights_sha256(self) -> str:
        """Hash of its weights."""

    @property
    def tokenizer_sha256(self) -> str:
        """Hash of its tokenizer."""

    @property
    def decoding(self) -> "DecodingOptions":
        """The options that were chosen on held-out text."""


class TextTranslator(Protocol):
    """What the service asks of a `translator.model_pool.ModelPool`."""

    @property
    def languages(self) -> Sequence[str]:
        """Codes of the languages that its models know."""

    @property
    def directions(self) -> Sequence[tuple[str, str]]:
        """(source, target) pairs that it translates."""

    def route(self, source: str, target: str) -> Sequence[ModelFacts]:
        """Returns the models that a text goes through, in order."""

    def session(self, *, options: "Options | None" = None, batch_size: int = 64) -> "TextSession":
        """Starts an empty session, in which texts of many callers are translated together.

        Args:
            options: Makes of what a checkpoint recommends how its model is to search.
            batch_size: Most sentences that one model searches at once.
        """


class TextSession(Protocol):
    """What the service asks of a `translator.session.TranslationSession`; only one thread does.

    Not all that `admit` can be asked for is asked here: `n_best` of None is all that the session was made for.
    """

    @property
    def live(self) -> int:
        """Sentences that are searched now."""

    def admit(
        self, requests: Sequence["TranslationRequest"], *, n_best: int | None = None, in_order: bool = False
    ) -> int:
        """Takes the texts of one caller; returns the ticket that stands for them."""

    def cancel(self, ticket: int) -> None:
        """Forgets texts."""

    def rest(self) -> None:
        """Lets go of models that nobody needed for a while."""

    def advance(self) -> Sequence[int]:
        """Writes one token of every sentence; returns the tickets whose texts have all ended."""

    def collect(self, ticket: int) -> Sequence["Translation"]:
        """Gives the translations of a ticket that has ended."""

    def settled(self, ticket: int) -> list[str]:
        """Says what the translation of each text of a live ticket will begin with."""

    def progress(self, ticket: int) -> tuple[int, int]:
        """Says how many sentences of a live ticket are done, and how many there are."""
