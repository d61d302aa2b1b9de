"""One sentence on its way through the model: text to source ids, hypothesis to text with alignment; or both given."""

from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from translator.alignment import AlignedWords, Side, align_words
from translator.casing import is_upper, lowered, raised
from translator.confidence import Evidence, weigh
from translator.echoes import Echo, Written, abridge, say_again, unabridged
from translator.numbers import lost_numbers
from translator.repetition import has_loop
from translator.scoring import Hypothesis
from translator.text import normalise, plain_quotes, words
from translator.tokenizer import Decoded, Tokenizer
from translator.translation import TokenScore
from translator.verbatim import mask


class SourceSentence(NamedTuple):
    """A sentence made ready for the encoder.

    Args:
        text: Normalised.
        origins: For each character of `text`, and its end, the offset in the text it was cut from.
        ids: Language token, pieces, eos.
        spans: Character span in `text` of each id; empty for special tokens.
        shouted: It is in capitals, which `ids` do not show; its translation shall be too.
        echoes: What it says several times in a row and `ids` say once; its translation shall say it as often.
        target: Language of its translation.
    """

    text: str
    origins: tuple[int, ...]
    ids: list[int]
    spans: list[tuple[int, int]]
    shouted: bool = False
    echoes: tuple[Echo, ...] = ()
    target: str = ""

    @property
    def unknown(self) -> list[str]:
        """Stretches of the sentence that are to be copied: the vocabulary cannot spell them, or they are verbatim."""
        pairs = zip(self.ids, self.spans, strict=True)
        return [self.text[start:end].strip() for piece, (start, end) in pairs if piece == Tokenizer.unk_id]


class TargetSentence(NamedTuple):
    """A translated sentence; offsets count from its own start and from that of the source text.

    Args:
        text: What it says.
        token_count: Tokens that were written for it.
        score: By which it was ranked.
        evidence: What speaks for and against it.
        warnings: What could not be done.
        tokens: Of the text, if they were wanted.
        alignment: Its word links, if they were wanted.
    """

    text: str
    token_count: int
    score: float
    evidence: Evidence
    warnings: tuple[str, ...] = ()
    tokens: tuple[TokenScore, ...] = ()
    alignment: tuple[AlignedWords, ...] = ()


def read_sentence(text: str, start: int, *, tokenizer: Tokenizer, target: str, in_full: bool = False) -> SourceSentence:
    """Makes a sentence ready.

    Capitals that small letters would spell in fewer pieces are shouting; those of a name the vocabulary knows are not.
    What is the same in every language is one unknown piece; what is said again is read once.

    Args:
        text: As it stands in the source text.
        start: Where it stands there.
        tokenizer: Of the model.
        target: Language wanted.
        in_full: What is said again is to be read again, as where a translation is given.
    """
    normalised = normalise(text)
    plain = plain_quotes(normalised.text)
    once = unabridged(plain) if in_full else abridge(plain)
    masked = mask(once.text, tokenizer.letters)
    ids, spans = tokenizer.encode_with_spans(masked.text)
    shouted = False
    if is_upper(masked.text):
        calm = tokenizer.encode_with_spans(lowered(masked.text))
        if shouted := _effort(*calm) < _effort(ids, spans):
            ids, spans = calm
    return SourceSentence(
        normalised.text,
        tuple([start + origin for origin in normalised.origins]) if start else normalised.origins,
        [tokenizer.language_id(target), *ids, tokenizer.eos_id],
        [(0, 0), *once.in_full(masked.unmasked(spans)), (len(normalised.text), len(normalised.text))],
        shouted,
        once.echoes,
        target,
    )


def _effort(ids: Sequence[int], spans: Sequence[tuple[int, int]]) -> int:
    """Pieces that spell a text; what the vocabulary cannot spell counts by its characters."""
    pairs = zip(ids, spans, strict=True)
    return sum(end - start if piece == Tokenizer.unk_id else 1 for piece, (start, end) in pairs)


def write_sentence(
    sentence: SourceSentence, hypothesis: Hypothesis, *, tokenizer: Tokenizer, detailed: bool = True
) -> TargetSentence:
    """Turns a hypothesis into text, with its tokens and word links if it is to be `detailed`.

    An unknown piece becomes what it looked at (Luong et al. 2015b, 3.3): the same characters if that is an unknown
    piece too, which may be a letter in the middle of a name, else the whole source word. None is copied twice while
    another waits. What was read once of what is said again is said again here.
    """
    decoded = tokenizer.decode(hypothesis.token_ids, unknown=_copies(sentence, hypothesis))
    text = _raised(decoded, hypothesis.token_ids) if sentence.shouted else decoded.text
    written, lost = Written(text, (), ()), tuple[Echo, ...]()
    if detailed or sentence.echoes:  # an echo is found again by the links
        tokens = tuple(
            TokenScore(text[start:end], start, end, log_prob)
            for (start, end), log_prob in zip(decoded.spans, hypothesis.token_log_probs, strict=True)
        )
        source, target = Side(sentence.spans, words(sentence.text)), Side(decoded.spans, words(text))
        written = Written(text, tokens, tuple(align_words(hypothesis.posterior_weights, source, target)))
    if sentence.echoes:
        written, lost = say_again(
            written, sentence.echoes, tokenizer=tokenizer, target=sentence.target, shouted=sentence.shouted
        )
    warnings = _warnings(sentence, written.text, hypothesis) + tuple(_perhaps_fewer(sentence, echo) for echo in lost)
    said = TargetSentence(written.text, len(hypothesis.token_ids), hypothesis.score, weigh(hypothesis), warnings)
    if not detailed:
        return said
    return said._replace(tokens=written.tokens, alignment=_traced(written.links, sentence))


def write_beginning(sentence: SourceSentence, token_ids: Sequence[int], *, tokenizer: Tokenizer) -> str:
    """Turns what a hypothesis begins with into what its text will begin with.

    Whole words: the last one may go on. And none behind a copy: what is copied is settled when the sentence ends; so is
    what is said again.
    """
    if sentence.echoes:
        return ""
    spelt = list(takewhile(lambda token_id: token_id != Tokenizer.unk_id, token_ids))
    decoded = tokenizer.decode(spelt)
    text = _raised(decoded, spelt) if sentence.shouted else decoded.text
    return text[: max(0, text.rfind(" "))]


class GivenTarget(NamedTuple):
    """A translation that somebody else made, ready to be scored.

    Args:
        text: As it came.
        ids: Pieces, eos.
        tokens: Character span in `text` of each id; empty for eos.
        words: Character span in `text` of each word.
    """

    text: str
    ids: list[int]
    tokens: list[tuple[int, int]]
    words: list[tuple[int, int]]


def read_target(text: str, sentence: SourceSentence, *, tokenizer: Tokenizer) -> GivenTarget:
    """Makes a translation of `sentence` ready; capitals that answer a shouted sentence are read as small letters."""
    normalised = normalise(text)
    masked = mask(normalised.text, tokenizer.letters)
    calm = lowered(masked.text) if sentence.shouted and is_upper(masked.text) else masked.text
    ids, spans = tokenizer.encode_with_spans(calm)
    spans = masked.unmasked(spans)
    origins, end = normalised.origins, len(normalised.text)
    return GivenTarget(
        text,
        [*ids, tokenizer.eos_id],
        [(origins[start], origins[stop]) for start, stop in [*spans, (end, end)]],
        [(origins[start], origins[stop]) for start, stop in words(normalised.text)],
    )


def judge_sentence(sentence: SourceSentence, given: GivenTarget, hypothesis: Hypothesis) -> TargetSentence:
    """Turns what the model says of a given translation into the same record as one of its own."""
    tokens = tuple(
        TokenScore(given.text[start:end], start, end, log_prob)
        for (start, end), log_prob in zip(given.tokens, hypothesis.token_log_probs, strict=True)
    )
    links = align_words(
        hypothesis.posterior_weights, Side(sentence.spans, words(sentence.text)), Side(given.tokens, given.words)
    )
    alignment = _traced(links, sentence)
    return TargetSentence(
        given.text, len(tokens), hypothesis.score, weigh(hypothesis), tokens=tokens, alignment=alignment
    )


def _traced(links: Sequence[AlignedWords], sentence: SourceSentence) -> tuple[AlignedWords, ...]:
    """Leads the source offsets of links back from the normalised sentence to the text it was cut from."""
    origins = sentence.origins
    return tuple(
        AlignedWords(
            origins[link.source_start], origins[link.source_end], link.target_start, link.target_end, link.weight
        )
        for link in links
    )


def _raised(decoded: Decoded, token_ids: Sequence[int]) -> str:
    """Puts a translation in capitals, save what was copied: an address in capitals may be another one."""
    text, copied = raised(decoded.text), decoded.text
    for (start, end), token_id in zip(decoded.spans, token_ids, strict=True):
        if token_id == Tokenizer.unk_id:
            text = text[:start] + copied[start:end] + text[end:]
    return text


def _copies(sentence: SourceSentence, hypothesis: Hypothesis) -> list[str] | None:
    """For each target id that is unknown, the source characters it came from; "" for the others. None if none is."""
    if Tokenizer.unk_id not in hypothesis.token_ids:
        return None
    copies = [""] * len(hypothesis.token_ids)
    chosen, source_words = _chosen(sentence, hypothesis), words(sentence.text)
    for position, looked_at in chosen.items():
        start, end = sentence.spans[looked_at]
        if sentence.ids[looked_at] != Tokenizer.unk_id:
            touched = [span for span in source_words if span[0] < end and start < span[1]]
            start, end = (touched[0][0], touched[-1][1]) if touched else (start, start)
        copies[position] = sentence.text[start:end].strip()
        if (before := chosen.get(position - 1)) is not None:  # two copies in a row: apart if they were
            (_, left), (right, _) = sorted([sentence.spans[before], sentence.spans[looked_at]])
            if any(map(str.isspace, sentence.text[left : right + 1])):
                copies[position] = " " + copies[position]
    return copies


def _chosen(sentence: SourceSentence, hypothesis: Hypothesis) -> dict[int, int]:
    """Returns which source piece each unknown target piece copies: every unknown one of the source once at most.

    The surest go first. One that looks at a piece which is taken, or at one that can be spelt, gets the unknown piece
    left over that it looks at most. If none is left over, it copies the word it looks at, or is left out where it would
    say a thing twice that the text says once.
    """
    wanted = [position for position, token_id in enumerate(hypothesis.token_ids) if token_id == Tokenizer.unk_id]
    weights = {position: hypothesis.posterior_weights[position].tolist() for position in wanted}
    seen = {position: _most_seen(weights[position], sentence.spans) for position in wanted}
    unknown = {place for place, piece in enumerate(sentence.ids) if piece == Tokenizer.unk_id}
    left_over, chosen, taken = unknown - set(seen.values()), dict[int, int](), set[int]()
    for position in sorted(wanted, key=lambda position: -weights[position][seen[position]]):
        place = seen[position]
        if left_over and (place in taken or place not in unknown):
            place = max(left_over, key=weights[position].__getitem__)
            left_over.discard(place)
        if place not in taken:
            chosen[position] = place
        taken.add(place)
    return dict(sorted(chosen.items()))


def _most_seen(weights: Sequence[float], spans: Sequence[tuple[int, int]]) -> int:
    """Returns the source position of the greatest weight, of those that stand for text."""
    return max(range(len(spans)), key=lambda position: (spans[position][0] < spans[position][1], weights[position]))


def _warnings(sentence: SourceSentence, text: str, hypothesis: Hypothesis) -> tuple[str, ...]:
    found = []
    if not hypothesis.finished:
        found.append(f"The translation of {_shown(sentence.text)} was cut at the maximum length.")
    if has_loop(text, sentence.text):
        found.append(f"The translation of {_shown(sentence.text)} repeats itself where the text does not.")
    copied = Counter(filter(None, sentence.unknown)) if Tokenizer.unk_id in sentence.ids else {}
    lost = [stretch for stretch, times in copied.items() if text.count(stretch) < times]
    found += [f"{_shown(stretch)} was to be copied and is missing from the translation." for stretch in lost]
    found += [
        f"{_shown(number)} stands in the text and not in its translation."
        for number in lost_numbers(sentence.text, text)
        if not any(number in stretch for stretch in lost)
    ]
    return tuple(found)


def _perhaps_fewer(sentence: SourceSentence, echo: Echo) -> str:
    said, times = _shown(sentence.text[echo.start : echo.end]), len(echo.copies) + 1
    return f"{said} is said {times} times in the text, and may be said fewer times in its translation."


def _shown(text: str, limit: int = 40) -> str:
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
