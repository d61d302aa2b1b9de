"""What the service asks of a translator, so that it can be served, and tested, without importing torch."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # beside torch, which is imported when a model is loaded and not before
    from translator.config import DecodingOptions
    from translator.inference import Translation, TranslationRequest


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
    """What the service asks of a `translator.inference.Translator`."""

    @property
    def manifest(self) -> ModelFacts:
        """What the checkpoint says of itself."""

    @property
    def languages(self) -> Sequence[str]:
        """Codes of the languages that the model knows."""

    @property
    def directions(self) -> Sequence[tuple[str, str]]:
        """(source, target) pairs that it translates."""

    def translate_many(
        self,
        requests: Sequence["TranslationRequest"],
        *,
        options: "DecodingOptions | None" = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Sequence["Translation"]:
        """Translates texts of mixed directions; raises soon after `cancelled` turns true."""
