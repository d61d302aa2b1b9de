"""A translator that is quick, countable, and can be held up: what the service is tested against."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from translator.config import DecodingOptions
from translator.errors import CancelledError
from translator.inference import Translation, TranslationRequest

DIRECTIONS = (("en", "de"), ("de", "en"), ("fr", "en"))
HELD_SECONDS = 5  # a test that hangs longer than this is broken


@dataclass(frozen=True)
class FakeManifest:
    decoding: DecodingOptions = field(default_factory=DecodingOptions)
    name: str = "fake"
    weights_sha256: str = "0f" * 32
    tokenizer_sha256: str = "a1" * 32


class FakeTranslator:
    """Turns "text" into "<de>text" and remembers every batch; `hold()` keeps the next ones waiting."""

    languages = ("de", "en", "fr")
    directions = DIRECTIONS
    manifest = FakeManifest()

    def __init__(
        self,
        failures: dict[str, BaseException] | None = None,
        *,
        answers: dict[str, Translation] | None = None,
        deaf: bool = False,
    ) -> None:
        self.answers = answers or {}
        self.deaf = deaf  # to `cancelled`
        self.failures = failures or {}
        self.batches: list[list[str]] = []
        self.options: list[DecodingOptions | None] = []
        self.threads: set[str] = set()
        self.begun = threading.Event()
        self.stopped: list[list[str]] = []
        self._open = threading.Event()
        self._open.set()

    def hold(self) -> None:
        self.begun.clear()
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def translate_many(
        self,
        requests: Sequence[TranslationRequest],
        *,
        options: DecodingOptions | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Translation]:
        texts = [text for text, _, _ in requests]
        self.batches.append(texts)
        self.options.append(options)
        self.threads.add(threading.current_thread().name)
        self.begun.set()
        for _ in range(HELD_SECONDS * 200):
            if cancelled is not None and cancelled() and not self.deaf:
                self.stopped.append(texts)
                raise CancelledError("Nobody waits for this batch.")
            if self._open.wait(0.005):
                break
        for text in texts:
            if text in self.failures:
                raise self.failures[text]
        return [
            self.answers.get(text) or Translation(f"<{target}>{text}", source, target, text)
            for text, source, target in requests
        ]
