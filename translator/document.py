"""A text of any length, taken apart for the model and put together again.

Whatever lies between sentences is remembered and comes back as it was. A sentence longer than any the model was taught
is cut again, at a clause or a space: a model asked for more than it has learned drops the rest without a word.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from translator.alignment import AlignedWords
from translator.confidence import Calibration
from translator.scoring import Hypothesis
from translator.segmentation import Segment, segments
from translator.sentence import SourceSentence, TargetSentence, read_sentence, write_beginning, write_sentence
from translator.tokenizer import Tokenizer
from translator.translation import SentenceScore, TokenScore, Translation, TranslationRequest

SPECIAL_TOKENS = 2  # the language token and eos of every source


class _Part(NamedTuple):
    """A stretch of the text, and the sentence it holds; None is copied as it is."""

    segment: Segment
    sentence: SourceSentence | None


class Document:
    """One request on its way.

    Args:
        request: Text and direction.
        tokenizer: Of the model.
        max_source_tokens: Pieces of the longest sentence the model was taught.
        calibration: Of the direction; None for a model without.

    Attributes:
        sentences: What has to be translated, in order.
    """

    def __init__(
        self,
        request: TranslationRequest,
        *,
        tokenizer: Tokenizer,
        max_source_tokens: int,
        calibration: Calibration | None = None,
    ) -> None:
        """Takes the text apart."""
        self._request, self._tokenizer, self._max_source_tokens = request, tokenizer, max_source_tokens
        self._calibration = calibration
        whole = segments(request.text, request.source)
        self._parts = [part for segment in whole for part in self._read(segment)]
        self.sentences = [part.sentence for part in self._parts if part.sentence is not None]
        self._places: dict[tuple[int, ...], list[int]] = {}  # of the sentences, by their ids
        for place, sentence in enumerate(self.sentences):
            self._places.setdefault(tuple(sentence.ids), []).append(place)
        self._written: dict[int, list[TargetSentence]] = {}
        self._settled = ""  # the text of the first parts, which nothing can change any more
        self._settled_parts = self._settled_sentences = 0

    def take(self, ids: tuple[int, ...], hypotheses: Sequence[Hypothesis]) -> None:
        """Writes the sentences of these ids, if there are any, as soon as their n-best hypotheses are known.

        So the end of a long text is no long work. Hypotheses without text are passed over.
        """
        for place in self._places.get(ids, ()):
            sentence, detailed = self.sentences[place], self._request.detailed
            answers = (
                write_sentence(sentence, each, tokenizer=self._tokenizer, detailed=detailed) for each in hypotheses
            )
            self._written[place] = [answer for answer in answers if answer.text]

    def assemble(self) -> Translation:
        """Puts what was written of each of `sentences` where its source stood.

        A sentence of which nothing was is copied, with a warning. The alternatives take the next best of every sentence
        at once.

        Raises:
            KeyError: A sentence was not taken.
        """
        written = [self._written[place] for place in range(len(self.sentences))]
        ranks = max((len(hypotheses) for hypotheses in written), default=1)
        best, *others = [
            self._join([hypotheses[min(rank, len(hypotheses) - 1)] if hypotheses else None for hypotheses in written])
            for rank in range(max(1, ranks))
        ]
        different = dict.fromkeys(other.text for other in others if other.text != best.text)
        return replace(best, alternatives=tuple(different)) if different else best

    def settled(self, ids_of: Callable[[tuple[int, ...]], Sequence[int]]) -> str:
        """Says what the translation will begin with; it only grows.

        Args:
            ids_of: Tells, of a sentence that was not taken, the target ids that its best hypothesis will begin with.
        """
        while self._settled_parts < len(self._parts):
            segment, sentence = self._parts[self._settled_parts]
            piece = self._request.text[segment.start : segment.end]
            if sentence is not None:
                if (answers := self._written.get(self._settled_sentences)) is None:
                    beginning = write_beginning(sentence, ids_of(tuple(sentence.ids)), tokenizer=self._tokenizer)
                    return self._settled + beginning
                piece = answers[0].text if answers else piece
                self._settled_sentences += 1
            self._settled, self._settled_parts = self._settled + piece, self._settled_parts + 1
        return self._settled

    def _read(self, segment: Segment) -> Iterator[_Part]:
        start, end, kind = segment
        if kind == "verbatim":
            yield _Part(segment, None)
            return
        text, source, target, _ = self._request
        sentence = read_sentence(text[start:end], start, tokenizer=self._tokenizer, target=target)
        pieces, length = len(sentence.ids) - SPECIAL_TOKENS, end - start
        if pieces <= self._max_source_tokens or length == 1:
            yield _Part(segment, sentence)
            return
        shorter = max(1, min(length - 1, length * self._max_source_tokens // pieces))
        for inner in segments(text[start:end], source, max_characters=shorter):
            yield from self._read(Segment(start + inner.start, start + inner.end, inner.kind))

    def _join(self, sentences: Sequence[TargetSentence | None]) -> Translation:
        """Makes the whole from one translation for each sentence."""
        text, source, target, _ = self._request
        pieces: list[str] = []
        tokens: list[TokenScore] = []
        alignment: list[AlignedWords] = []
        warnings: list[str] = []
        scored: list[SentenceScore] = []
        waiting, length = iter(sentences), 0
        for (start, end, _), asked in self._parts:
            piece = text[start:end]
            answer = None if asked is None else next(waiting)
            if answer is not None:
                tokens += _moved_tokens(answer.tokens, length)
                alignment += _moved_links(answer.alignment, length)
                warnings += answer.warnings
                piece = answer.text
            elif asked is not None:
                warnings.append(f"No translation was found for {piece[:40]!r}; it was copied.")
            if asked is not None:
                places = (start, end, length, length + len(piece))
                scored.append(self._scored(places, answer))
            pieces.append(piece)
            length += len(piece)
        scores = [each.score for each in scored if each.evidence is not None]
        score = sum(scores) / len(scores) if scores else 0.0
        return Translation(
            "".join(pieces),
            source,
            target,
            text,
            score=score,
            sentences=tuple(scored),
            tokens=tuple(tokens),
            alignment=tuple(alignment),
            warnings=tuple(dict.fromkeys(warnings)),
        )

    def _scored(self, places: tuple[int, int, int, int], answer: TargetSentence | None) -> SentenceScore:
        """Says how sure a sentence is; one that was copied is not at all."""
        calibration = self._calibration
        if answer is None:
            return SentenceScore(*places, 0.0, None, 0.0 if calibration else None)
        confidence = calibration.confidence(answer.evidence) if calibration else None
        return SentenceScore(*places, answer.score, answer.evidence, confidence, answer.token_count)


def _moved_tokens(tokens: Sequence[TokenScore], distance: int) -> Sequence[TokenScore]:
    if not distance:
        return tokens
    return [TokenScore(each.text, each.start + distance, each.end + distance, each.log_prob) for each in tokens]


def _moved_links(links: Sequence[AlignedWords], distance: int) -> Sequence[AlignedWords]:
    if not distance:
        return links
    return [
        link._replace(target_start=link.target_start + distance, target_end=link.target_end + distance)
        for link in links
    ]
