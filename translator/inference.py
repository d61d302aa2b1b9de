"""The facade: `Translator`, texts of any length in, `Translation`s out.

text -> segments (structure remembered) -> normalised -> pieces -> one search for all sentences of all texts -> text,
with alignment, scores and warnings -> segments put back. What cannot be translated is copied, and said.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from translator.alignment import Link, Shares, choose_links
from translator.catalogue import find_checkpoint
from translator.checkpoint import Checkpoint, Manifest, load_checkpoint
from translator.compute_type import ComputeType, WantedComputeType, choose_compute_type, on_processor
from translator.config import DecodingOptions
from translator.engine import make_engine
from translator.errors import CancelledError, ConfigError, LanguageError
from translator.heap import return_freed_memory
from translator.judging import GivenPair, judge, read_pairs, shares_of
from translator.model_session import ModelSession
from translator.pivot import check_direction, check_requests, reachable
from translator.processes import share_out
from translator.session import Progress, TranslationSession
from translator.threads import set_thread_count
from translator.translation import Translation, TranslationRequest

__all__ = ["DecodingOptions", "Progress", "Translation", "TranslationRequest", "TranslationSession", "Translator"]


MAX_THREADS = 256  # more are no machine's cores, and making them ends a process without a word


class Translator:
    """A loaded model that translates. Safe to share between threads: nothing is kept between calls.

    Example:
        >>> translator = Translator.load()  # doctest: +SKIP
        >>> translator.translate(["Good morning!"], source="en", target="de")[0].text  # doctest: +SKIP
        'Guten Morgen!'
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "cpu",
        compute_type: WantedComputeType = "float32",
        use_shortlist: bool = True,
    ) -> None:
        """Makes the decoding engine of `checkpoint`; `Translator.load` is the usual way in."""
        self.manifest: Manifest = checkpoint.manifest
        self._tokenizer, self._device = checkpoint.tokenizer, device
        self._engine = make_engine(
            checkpoint,
            compute_type=choose_compute_type(compute_type, device),
            device=device,
            use_shortlist=use_shortlist,
        )

    @classmethod
    def load(
        cls,
        path_or_name: str | Path | None = None,
        *,
        device: str = "cpu",
        threads: int | None = None,
        compute_type: WantedComputeType = "auto",
        use_shortlist: bool = True,
    ) -> "Translator":
        """Loads a checkpoint.

        Args:
            path_or_name: A checkpoint folder, or the name of a built-in model; None is the default model.
            device: Where to compute, as PyTorch names it.
            threads: CPU threads to compute with, for this process; None leaves them as they are.
            compute_type: Arithmetic of decoding; "auto" takes the quickest that the processor has.
            use_shortlist: Whether sentences choose from the pieces that the checkpoint's shortlist leaves them, if it
                has one; else from the whole vocabulary.

        Raises:
            CheckpointError: There is no such checkpoint, or it cannot be trusted.
            ConfigError: There is no such device, or it cannot compute so, or threads is no count.
        """
        if (count := check_threads(threads)) is not None:
            set_thread_count(count)
        checkpoint = load_checkpoint(find_checkpoint(path_or_name))
        translator = cls(checkpoint, device=device, compute_type=compute_type, use_shortlist=use_shortlist)
        del checkpoint  # the engine keeps of it what it needs
        return_freed_memory()
        return translator

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.manifest.name

    @property
    def compute_type(self) -> ComputeType:
        """How it computes."""
        return self._engine.compute_type

    @property
    def languages(self) -> tuple[str, ...]:
        """Language codes, sorted."""
        return self.manifest.languages

    @property
    def directions(self) -> tuple[tuple[str, str], ...]:
        """The (source, target) pairs it translates: those the model was taught, then those through a third language."""
        return reachable(self.manifest.directions)

    def check_direction(self, source: str, target: str) -> None:
        """Refuses a direction it does not translate.

        Raises:
            LanguageError: With the languages or directions there are.
        """
        check_direction(source, target, self.manifest.directions)

    def translate(
        self,
        texts: Sequence[str],
        *,
        source: str,
        target: str,
        options: DecodingOptions | None = None,
        detailed: bool = True,
        batch_size: int = 64,
        workers: int = 1,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Translation]:
        """Translates texts of any length from one language into another.

        Args:
            texts: Each a word, a sentence or a whole document.
            source: Language code of all of them.
            target: Language code wanted.
            options: How to search; None takes what the checkpoint recommends.
            detailed: Whether tokens and word links are wanted too; without them it is a little quicker.
            batch_size: Most sentences decoded at once.
            workers: Processes that share the texts out among them, each in one thread, made by fork() for this call
                alone; 1 is this process with all its threads. A text is one process's, however long. Not beside other
                threads that translate: what these hold locked would stay so in the processes.
            progress: Told (sentences done, sentences in all) as sentences end; with several workers the second is a
                guess until all have begun.
            cancelled: Asked before every decoding step whether to stop, of several workers at least ten times a second.

        Returns:
            One translation a text, in order. Empty and white-space texts come back as they came.

        Raises:
            LanguageError: It does not translate this direction.
            CancelledError: `cancelled` said yes.
            ConfigError: There are to be no workers, or several where there can be none, or one of them died.
        """
        if isinstance(texts, str):
            raise TypeError("translate() takes a list of texts; put the one text into a list: [text].")
        requests = [TranslationRequest(text, source, target, detailed) for text in texts]
        self.check_direction(source, target)
        return self.translate_many(
            requests,
            options=options,
            batch_size=batch_size,
            workers=workers,
            progress=progress,
            cancelled=cancelled,
        )

    def translate_many(
        self,
        requests: Sequence[TranslationRequest],
        *,
        options: DecodingOptions | None = None,
        batch_size: int = 64,
        workers: int = 1,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Translation]:
        """Translates texts of several directions together; the rest as in `translate`."""
        if workers < 1:
            raise ConfigError(f"workers is {workers}, wanted at least 1.")
        if workers > 1 and not on_processor(self._device):
            raise ConfigError(f"workers is {workers}, and processes cannot share {self._device}; set 1.")
        if workers > 1 and len(requests) > 1:
            check_requests(requests, self.manifest.directions)
            return share_out(
                lambda part, tell: self.translate_many(part, options=options, batch_size=batch_size, progress=tell),
                requests,
                workers=workers,
                size=lambda request: len(request.text),
                progress=progress,
                cancelled=cancelled,
            )
        session = self.session(options=options, batch_size=batch_size)
        ticket = session.admit(requests, progress=progress)
        while session.busy:
            if cancelled is not None and cancelled():
                raise CancelledError("The translation was cancelled.")
            session.advance()
        return session.collect(ticket)

    def session(self, *, options: DecodingOptions | None = None, batch_size: int = 64) -> TranslationSession:
        """Starts an empty session, in which texts of many callers are translated together, step by step.

        Args:
            options: How to search; None takes what the checkpoint recommends.
            batch_size: Most sentences decoded at once.
        """
        return TranslationSession(
            dict.fromkeys(self.manifest.directions, self.name),
            lambda _: self.model_session(options=options, batch_size=batch_size),
        )

    def model_session(self, *, options: DecodingOptions | None = None, batch_size: int = 64) -> ModelSession:
        """Starts this model's part in a session of several models; it takes directions that were taught, no others.

        Args:
            options: How to search; None takes what the checkpoint recommends.
            batch_size: Most sentences decoded at once.
        """
        return ModelSession(self._engine, self._tokenizer, self.manifest, options=options, batch_size=batch_size)

    def score(self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str) -> list[Translation]:
        """Says what the model thinks of translations that exist: how likely each token is, which words belong together.

        Args:
            sources: One sentence each.
            targets: Their translations, in the same order.
            source: Language code of `sources`.
            target: Language code of `targets`.

        Returns:
            For each pair the record that `translate` gives, as if the model had written the target itself: its score by
            the checkpoint's length penalty, its tokens and its alignment, with offsets into the texts as they came.

        What a source says several times in a row is read as often; `translate` reads it once, and may score otherwise.

        A target in capitals, of a source in capitals, is judged in small letters: nouns that German writes with a
        capital count as slips then.

        Raises:
            InputError: The two differ in number.
            LanguageError: The model was not taught this direction.
        """
        pairs = self._read_pairs(sources, targets, source=source, target=target)
        return [judge(pair, text, source=source, target=target) for pair, text in zip(pairs, sources, strict=True)]

    def align(
        self, sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]], *, source: str, target: str
    ) -> list[set[Link]]:
        """Aligns the words of sentences with those of their translations, in the words they come in.

        If the model also knows the way back, both directions are asked, and a link must be seen from both.

        Args:
            sources: One sentence each, as words.
            targets: Their translations, as words, in the same order.
            source: Language code of `sources`.
            target: Language code of `targets`.

        Returns:
            For each pair the (source word, target word) links, counted from 0.

        Raises:
            InputError: The two differ in number.
            LanguageError: The model was not taught this direction.
        """
        if any(isinstance(words, str) for words in (*sources, *targets)):
            raise TypeError("align() takes each sentence as a list of words; split it first: text.split().")
        ahead = self._word_shares(sources, targets, source=source, target=target)
        if (target, source) not in self.manifest.directions:
            return list(map(choose_links, ahead))
        return list(map(choose_links, ahead, self._word_shares(targets, sources, source=target, target=source)))

    def _word_shares(
        self, sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]], *, source: str, target: str
    ) -> list[Shares]:
        texts, wanted = ([" ".join(words) for words in side] for side in (sources, targets))
        pairs = self._read_pairs(texts, wanted, source=source, target=target)
        return list(map(shares_of, pairs, sources, targets))

    def _read_pairs(
        self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str
    ) -> list[GivenPair]:
        if (source, target) not in self.manifest.directions:
            known = ", ".join(f"{one} to {other}" for one, other in self.manifest.directions)
            raise LanguageError(f"{source!r} to {target!r} was not taught; choose from: {known}.")
        alpha = self.manifest.decoding.length_penalty
        return read_pairs(self._engine, self._tokenizer, sources, targets, target_language=target, alpha=alpha)


def check_threads(threads: int | None) -> int | None:
    """Returns a number of threads that can be; None leaves them as they are.

    Raises:
        ConfigError: It is no whole number, below 1 or above MAX_THREADS.
    """
    if threads is None:
        return None
    if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= MAX_THREADS:
        raise ConfigError(f"threads is {threads!r}, wanted 1 to {MAX_THREADS}, or None to leave them as they are.")
    return threads
