"""The facade: `Translator`, texts of any length in, `Translation`s out.

text -> segments (structure remembered) -> normalised -> pieces -> one search for all sentences of all texts -> text,
with alignment, scores and warnings -> segments put back. What cannot be translated is copied, and said.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from translator.alignment import AlignedWords
from translator.catalogue import find_checkpoint
from translator.checkpoint import Checkpoint, Manifest, load_checkpoint
from translator.config import DecodingOptions
from translator.decoding import decode_all
from translator.engine import DecodingEngine
from translator.errors import LanguageError
from translator.scoring import Hypothesis
from translator.segmentation import Segment, segments
from translator.sentence import SourceSentence, TargetSentence, read_sentence, write_sentence
from translator.translation import TokenScore, Translation, TranslationRequest

__all__ = ["DecodingOptions", "Translation", "TranslationRequest", "Translator"]

Progress = Callable[[int, int], None]


class Translator:
    """A loaded model that translates. Safe to share between threads: nothing is kept between calls.

    Example:
        >>> translator = Translator.load()  # doctest: +SKIP
        >>> translator.translate(["Good morning!"], source="en", target="de")[0].text  # doctest: +SKIP
        'Guten Morgen!'
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Makes the decoding engine of `checkpoint`; `Translator.load` is the usual way in."""
        self.manifest: Manifest = checkpoint.manifest
        self._tokenizer = checkpoint.tokenizer
        self._engine = DecodingEngine(checkpoint.model, pad_id=checkpoint.tokenizer.pad_id)

    @classmethod
    def load(
        cls, path_or_name: str | Path | None = None, *, device: str = "cpu", threads: int | None = None
    ) -> "Translator":
        """Loads a checkpoint.

        Args:
            path_or_name: A checkpoint folder, or the name of a built-in model; None is the default model.
            device: Where to compute, as PyTorch names it.
            threads: CPU threads for all of PyTorch in this process; None leaves them as they are.

        Raises:
            CheckpointError: There is no such checkpoint, or it cannot be trusted.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        checkpoint = load_checkpoint(find_checkpoint(path_or_name))
        return cls(checkpoint._replace(model=checkpoint.model.to(device)))

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.manifest.name

    @property
    def languages(self) -> tuple[str, ...]:
        """Language codes, sorted."""
        return self.manifest.languages

    @property
    def directions(self) -> tuple[tuple[str, str], ...]:
        """The (source, target) pairs the model was taught."""
        return self.manifest.directions

    def check_direction(self, source: str, target: str) -> None:
        """Refuses a direction the model was not taught.

        Raises:
            LanguageError: With the languages or directions there are.
        """
        for language in (source, target):
            if language not in self.languages:
                raise LanguageError(f"{language!r} is not supported; choose from: {', '.join(self.languages)}.")
        if (source, target) not in self.directions:
            known = ", ".join(f"{one} to {other}" for one, other in self.directions)
            raise LanguageError(f"{source!r} to {target!r} is not supported; choose from: {known}.")

    def translate(
        self,
        texts: Sequence[str],
        *,
        source: str,
        target: str,
        options: DecodingOptions | None = None,
        batch_size: int = 64,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Translation]:
        """Translates texts of any length from one language into another.

        Args:
            texts: Each a word, a sentence or a whole document.
            source: Language code of all of them.
            target: Language code wanted.
            options: How to search; None takes what the checkpoint recommends.
            batch_size: Most sentences decoded at once.
            progress: Told (sentences done, sentences in all) as sentences end.
            cancelled: Asked before every decoding step whether to stop.

        Returns:
            One translation a text, in order. Empty and white-space texts come back as they came.

        Raises:
            LanguageError: The model was not taught this direction.
            CancelledError: `cancelled` said yes.
        """
        if isinstance(texts, str):
            raise TypeError("translate() takes a list of texts; put the one text into a list: [text].")
        requests = [TranslationRequest(text, source, target) for text in texts]
        self.check_direction(source, target)
        return self.translate_many(
            requests, options=options, batch_size=batch_size, progress=progress, cancelled=cancelled
        )

    def translate_many(
        self,
        requests: Sequence[TranslationRequest],
        *,
        options: DecodingOptions | None = None,
        batch_size: int = 64,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Translation]:
        """Translates texts of several directions together; the rest as in `translate`."""
        for _, source, target in set(requests):
            self.check_direction(source, target)
        plans = [_Plan(request, segments(request.text, request.source)) for request in requests]
        read = [plan.read(self) for plan in plans]
        unique = {tuple(sentence.ids): sentence for sentences in read for sentence in sentences}
        done = 0

        def count(_: int) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, len(unique))

        found = decode_all(
            self._engine,
            self._tokenizer,
            [sentence.ids for sentence in unique.values()],
            options=options or self.manifest.decoding,
            batch_size=batch_size,
            on_finished=count,
            cancelled=cancelled,
        )
        hypotheses = dict(zip(unique, found, strict=True))
        return [
            plan.write(self, sentences, [hypotheses[tuple(sentence.ids)] for sentence in sentences])
            for plan, sentences in zip(plans, read, strict=True)
        ]

    def _read(self, text: str, start: int, target: str) -> SourceSentence:
        return read_sentence(text, start, tokenizer=self._tokenizer, target=target)

    def _write(self, sentence: SourceSentence, hypothesis: Hypothesis) -> TargetSentence:
        return write_sentence(sentence, hypothesis, tokenizer=self._tokenizer)


class _Plan:
    """One text taken apart, to be put together again."""

    def __init__(self, request: TranslationRequest, parts: list[Segment]) -> None:
        self.request, self.parts = request, parts

    def read(self, translator: Translator) -> list[SourceSentence]:
        text, target = self.request.text, self.request.target
        return [
            translator._read(text[part.start : part.end], part.start, target)
            for part in self.parts
            if part.kind == "sentence"
        ]

    def write(
        self, translator: Translator, sentences: list[SourceSentence], found: list[list[Hypothesis]]
    ) -> Translation:
        """Puts translated sentences where their sources stood."""
        written = [
            [translator._write(sentence, hypothesis) for hypothesis in hypotheses]
            for sentence, hypotheses in zip(sentences, found, strict=True)
        ]
        best = self._assemble([ranks[0] if ranks else None for ranks in written])
        wanted = max((len(ranks) for ranks in written), default=1)
        others = [
            self._assemble([ranks[min(rank, len(ranks) - 1)] if ranks else None for ranks in written]).text
            for rank in range(1, wanted)
        ]
        different = tuple(text for text in dict.fromkeys(others) if text != best.text)
        return replace(best, alternatives=different)

    def _assemble(self, sentences: list[TargetSentence | None]) -> Translation:
        text, source, target = self.request
        pieces: list[str] = []
        tokens: list[TokenScore] = []
        alignment: list[AlignedWords] = []
        warnings: list[str] = []
        scores: list[float] = []
        waiting, length = iter(sentences), 0
        for part in self.parts:
            original = text[part.start : part.end]
            sentence = next(waiting) if part.kind == "sentence" else None
            piece = original
            if sentence is not None and sentence.text:
                piece = sentence.text
                tokens += [
                    replace(token, start=token.start + length, end=token.end + length) for token in sentence.tokens
                ]
                alignment += [
                    replace(link, target_start=link.target_start + length, target_end=link.target_end + length)
                    for link in sentence.alignment
                ]
                warnings += sentence.warnings
                scores.append(sentence.score)
            elif part.kind == "sentence":
                warnings.append(f"No translation was found for {original[:40]!r}; it was copied.")
            pieces.append(piece)
            length += len(piece)
        return Translation(
            "".join(pieces),
            source,
            target,
            text,
            sum(scores) / len(scores) if scores else 0.0,
            tuple(tokens),
            tuple(alignment),
            (),
            tuple(dict.fromkeys(warnings)),
        )
