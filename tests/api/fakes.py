"""A translator that is quick, countable, and can be held up: what the service is tested against."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from translator.config import DecodingOptions
from translator.inference import Translation, TranslationRequest

Options = Callable[[DecodingOptions], DecodingOptions]

PATIENCE_SECONDS = 60  # for what must happen, and on a busy machine happens late
DIRECTIONS = (("en", "de"), ("de", "en"), ("fr", "en"))


@dataclass(frozen=True)
class FakeManifest:
    decoding: DecodingOptions = field(default_factory=DecodingOptions)
    name: str = "fake"
    weights_sha256: str = "0f" * 32
    tokenizer_sha256: str = "a1" * 32


class FakeTranslator:
    """Turns "text" into "<de>text" and remembers every request; `hold()` lets nothing end until `release()`."""

    languages = ("de", "en", "fr")
    directions = DIRECTIONS
    manifest = FakeManifest()
    model_of: Mapping[tuple[str, str], Sequence[FakeManifest]] = {}  # for directions that go through other models

    def __init__(
        self,
        failures: dict[str, BaseException] | None = None,
        *,
        answers: dict[str, Translation] | None = None,
        late: bool = False,
    ) -> None:
        self.answers = answers or {}
        self.late = late  # a failure shows when the text is put together, not in the search
        self.told: list[str] = []  # by a text under way, one more each step
        self.failures = failures or {}
        self.batches: list[list[str]] = []  # the texts of each request
        self.together: list[list[str]] = []  # the texts that ended with the same step
        self.options: list[DecodingOptions] = []
        self.rests = 0
        self.n_best: list[int | None] = []
        self.detailed: list[bool] = []  # whether each request was to be, of all its texts
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

    @property
    def open(self) -> bool:
        return self._open.wait(0.002)

    def route(self, source: str, target: str) -> Sequence[FakeManifest]:
        return self.model_of.get((source, target), [self.manifest])

    def session(self, *, options: Options | None = None, batch_size: int = 64) -> "FakeSession":
        self.options.append(options(self.manifest.decoding) if options else self.manifest.decoding)
        return FakeSession(self)


class FakeSession:
    """All that is admitted ends with the next step after `release()`."""

    def __init__(self, translator: FakeTranslator) -> None:
        self._translator = translator
        self._requests: dict[int, Sequence[TranslationRequest]] = {}
        self._admitted = self._steps = 0

    @property
    def live(self) -> int:
        return sum(map(len, self._requests.values()))

    def admit(
        self, requests: Sequence[TranslationRequest], *, n_best: int | None = None, in_order: bool = False
    ) -> int:
        self._admitted += 1
        self._requests[self._admitted] = requests
        self._translator.batches.append([request.text for request in requests])
        self._translator.n_best.append(n_best)
        self._translator.detailed.append(all(request.detailed for request in requests))
        return self._admitted

    def rest(self) -> None:
        self._translator.rests += 1

    def cancel(self, ticket: int) -> None:
        self._translator.stopped.append([request.text for request in self._requests.pop(ticket)])

    def advance(self) -> list[int]:
        self._translator.threads.add(threading.current_thread().name)
        self._translator.begun.set()
        self._steps += 1
        if not self._translator.open or self._steps <= len(self._translator.told):
            return []
        texts = [request.text for requests in self._requests.values() for request in requests]
        self._translator.together.append(texts)
        self._fail(texts if not self._translator.late else [])
        return list(self._requests)

    def collect(self, ticket: int) -> list[Translation]:
        requests = self._requests.pop(ticket)
        self._fail([request.text for request in requests])
        return [
            self._translator.answers.get(text) or Translation(f"<{target}>{text}", source, target, text)
            for text, source, target, _ in requests
        ]

    def _fail(self, texts: Sequence[str]) -> None:
        for text in texts:
            if text in self._translator.failures:
                raise self._translator.failures[text]

    def settled(self, ticket: int) -> list[str]:
        told = ["", *self._translator.told][min(self._steps, len(self._translator.told))]
        return [told for _ in self._requests[ticket]]

    def progress(self, ticket: int) -> tuple[int, int]:
        return 0, len(self._requests[ticket])
