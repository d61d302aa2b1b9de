"""Several checkpoints as one translator: loaded when they are first needed, let go when nobody needs them.

A direction that several were taught belongs to the one that was taught the fewest, the specialist; a direction that
none was taught goes through a language between, from one model to another if need be.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from translator.catalogue import find_checkpoints
from translator.checkpoint import Manifest, read_manifest, verify_checkpoint
from translator.compute_type import WantedComputeType, choose_compute_type
from translator.config import DecodingOptions
from translator.errors import CheckpointError
from translator.heap import return_freed_memory
from translator.inference import Translator, check_threads
from translator.model_session import ModelSession
from translator.pivot import Direction, find_pivot, reachable
from translator.session import TranslationSession

logger = logging.getLogger(__name__)

Options = Callable[[DecodingOptions], DecodingOptions]
"""Makes of the options that a checkpoint recommends those that are wanted."""


class ModelPool:
    """The models of a folder, or one model alone. For one thread, but for what never changes.

    One model alone is loaded at once and stays.

    Args:
        folders: Of checkpoints, at least one.
        threads: CPU threads to compute with, for this process; None leaves them as they are.
        compute_type: Arithmetic of decoding, as `Translator.load` takes it.
        idle_seconds: How long a model that nobody needs stays loaded.
        clock: Tells the time in seconds.

    Raises:
        CheckpointError: One cannot be trusted, or two have the same name.
        ConfigError: The processor cannot compute so, or threads is no count.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        threads: int | None = None,
        compute_type: WantedComputeType = "auto",
        idle_seconds: float = 600,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads what each checkpoint says of itself."""
        self._threads = check_threads(threads)
        self._compute_type = choose_compute_type(compute_type, "cpu")
        self._idle_seconds, self._clock = idle_seconds, clock
        self._folders: dict[str, Path] = {}  # by name of the model
        self._manifests: dict[str, Manifest] = {}
        read = read_manifest if len(folders) == 1 else verify_checkpoint  # one alone is verified as it is loaded, below
        for folder in folders:
            self._add(folder, read(folder))
        self._taught: dict[Direction, str] = {}
        for manifest in sorted(self._manifests.values(), key=lambda each: (len(each.directions), each.name)):
            for direction in manifest.directions:
                self._taught.setdefault(direction, manifest.name)
        self._loaded: dict[str, Translator] = {}
        self._needed_at: dict[str, float] = {}
        self._alone = len(self._manifests) == 1
        if self._alone:
            self._translator(*self._manifests)

    @classmethod
    def find(
        cls,
        path_or_name: str | Path | None = None,
        *,
        threads: int | None = None,
        compute_type: WantedComputeType = "auto",
        idle_seconds: float = 600,
    ) -> "ModelPool":
        """Opens a checkpoint, or all that a folder holds.

        Args:
            path_or_name: A checkpoint folder, a folder of such, or the name of a built-in model; "all" is every
                built-in model, None the default one.
            threads: CPU threads to compute with, for this process; None leaves them as they are.
            compute_type: Arithmetic of decoding.
            idle_seconds: How long a model that nobody needs stays loaded, if there are several.

        Raises:
            CheckpointError: There is none, one cannot be trusted, or two have the same name.
            ConfigError: The processor cannot compute so.
        """
        return cls(
            find_checkpoints(path_or_name), threads=threads, compute_type=compute_type, idle_seconds=idle_seconds
        )

    @property
    def languages(self) -> tuple[str, ...]:
        """Language codes of all models, sorted."""
        return tuple(sorted({language for each in self._manifests.values() for language in each.languages}))

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The (source, target) pairs that are translated: those taught, then those by a language between."""
        return reachable(tuple(self._taught))

    @property
    def loaded(self) -> list[str]:
        """Names of the models that are in memory."""
        return list(self._loaded)

    def route(self, source: str, target: str) -> list[Manifest]:
        """Returns the models that a text goes through, in order: one, or two that a language between joins.

        Raises:
            KeyError: No way leads from `source` to `target`.
        """
        if (source, target) in self._taught:
            return [self._manifests[self._taught[source, target]]]
        if (middle := find_pivot(self._taught, source, target)) is None:
            raise KeyError((source, target))
        return [*self.route(source, middle), *self.route(middle, target)]

    def session(self, *, options: Options | None = None, batch_size: int = 64) -> TranslationSession:
        """Starts an empty session, in which texts of many callers are translated together.

        Args:
            options: How each model searches; None takes what its checkpoint recommends.
            batch_size: Most sentences that one model decodes at once.
        """

        def start(name: str) -> ModelSession:
            recommended = self._manifests[name].decoding
            wanted = options(recommended) if options else recommended
            return self._translator(name).model_session(options=wanted, batch_size=batch_size)

        return TranslationSession(self._taught, start, self._release)

    def _add(self, folder: Path, manifest: Manifest) -> None:
        if manifest.name in self._manifests:
            raise CheckpointError(
                f"{self._folders[manifest.name]} and {folder} are both called {manifest.name!r}; take one of them out, "
                "or export it under another name."
            )
        self._folders[manifest.name], self._manifests[manifest.name] = folder, manifest

    def _translator(self, name: str) -> Translator:
        if name not in self._loaded:
            started = self._clock()
            folder = self._folders[name]
            translator = Translator.load(folder, threads=self._threads, compute_type=self._compute_type)
            if translator.manifest != self._manifests[name]:
                raise CheckpointError(f"{folder} holds another checkpoint than at the start; start again to serve it.")
            self._loaded[name] = translator
            logger.info("Loaded %s in %.1f s.", name, self._clock() - started)
        self._needed_at[name] = self._clock()
        return self._loaded[name]

    def _release(self, needed: Collection[str]) -> None:
        """Lets go of the models that nobody needed for a while; those that are needed now count from now."""
        if self._alone:
            return
        now = self._clock()
        self._needed_at.update(dict.fromkeys(needed, now))
        for name in [each for each in self._loaded if now - self._needed_at[each] >= self._idle_seconds]:
            del self._loaded[name]
            return_freed_memory()
            logger.info("Let go of %s: nobody needed it for %.0f s.", name, self._idle_seconds)
