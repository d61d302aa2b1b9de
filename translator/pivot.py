"""A direction that no corpus taught, through a language that two taught ones share; and which are refused.

The text is translated into the language between and from there on; what is said of the answer is told of the text as it
came: word links are followed through the words between, weights multiplied, and both ways' log-probabilities summed.

Source: Utiyama & Isahara 2007 (pivoting); links composed as in Wang et al. 2006, section 3.
"""

from collections import defaultdict
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import replace

from translator.alignment import SECOND_LINK, AlignedWords
from translator.errors import LanguageError
from translator.translation import SentenceScore, Translation, TranslationRequest

Direction = tuple[str, str]
Span = tuple[int, int]


def find_pivot(taught: Collection[Direction], source: str, target: str) -> str | None:
    """Returns the language between, the first by its code if there are several; None if there is none."""
    into = {middle for start, middle in taught if start == source}
    return min((middle for middle in into if (middle, target) in taught), default=None)


def reachable(taught: Sequence[Direction]) -> tuple[Direction, ...]:
    """Returns the taught directions, and behind them those that one language between leads to."""
    languages = sorted({language for direction in taught for language in direction})
    further = (
        (source, target)
        for source in languages
        for target in languages
        if source != target and (source, target) not in taught and find_pivot(taught, source, target)
    )
    return (*taught, *further)


def legs(
    requests: Sequence[TranslationRequest], taught: Collection[Direction]
) -> Generator[list[TranslationRequest], list[Translation], list[Translation]]:
    """Leads requests of any reachable directions through taught ones, those that no corpus taught in two legs.

    Args:
        requests: Each of a taught direction, or of one that `find_pivot` knows a way for.
        taught: The directions that can be asked for.

    Yields:
        What to translate now; it is sent the translations.

    Returns:
        The translations of `requests`.
    """
    pivots = {
        place: pivot
        for place, request in enumerate(requests)
        if request.direction not in taught and (pivot := find_pivot(taught, *request.direction))
    }
    found = yield [request._replace(target=pivots.get(place, request.target)) for place, request in enumerate(requests)]
    if pivots:
        onwards = [requests[place]._replace(text=found[place].text, source=pivot) for place, pivot in pivots.items()]
        for place, second in zip(pivots, (yield onwards), strict=True):
            found[place] = joined(found[place], second)
    return found


def joined(first: Translation, second: Translation) -> Translation:
    """Makes one translation of two, of which the second has the first one's text as its source.

    Tokens and evidence are those of the second; the first one's confidence is multiplied into it.
    """
    return replace(
        second,
        source=first.source,
        source_text=first.source_text,
        score=first.score + second.score,
        sentences=tuple(_through(each, first) for each in second.sentences),
        alignment=tuple(_followed(first.alignment, second.alignment)),
        warnings=tuple(dict.fromkeys((*first.warnings, *second.warnings))),
    )


def _through(second: SentenceScore, first: Translation) -> SentenceScore:
    """Leads a sentence of the text between back to the sentences it came from; usually one."""
    origins = [
        each
        for each in first.sentences
        if each.target_start < second.source_end and second.source_start < each.target_end
    ]
    if not origins:  # copied by the first leg as it was, such as a number: it stands somewhere in the text
        return replace(second, source_start=0, source_end=len(first.source_text))
    confidence = second.confidence
    for origin in origins:
        sure = origin.confidence
        confidence = None if confidence is None or sure is None else confidence * sure
    return replace(
        second,
        source_start=min(each.source_start for each in origins),
        source_end=max(each.source_end for each in origins),
        score=second.score + sum(each.score for each in origins) / len(origins),
        confidence=confidence,
    )


def _followed(first: Iterable[AlignedWords], second: Iterable[AlignedWords]) -> Iterable[AlignedWords]:
    """Follows every link of the second leg through the word between to the words of the first one's source.

    Each target word keeps its best link, however thin, and any other above `SECOND_LINK`.
    """
    before: dict[int, list[AlignedWords]] = defaultdict(list)  # by each character of the text between
    for link in first:
        for place in range(link.target_start, link.target_end):
            before[place].append(link)
    shares: dict[Span, dict[Span, float]] = defaultdict(lambda: defaultdict(float))
    for link in second:
        origins = {each for place in range(link.source_start, link.source_end) for each in before[place]}
        for origin in origins:
            source, target = (origin.source_start, origin.source_end), (link.target_start, link.target_end)
            shares[target][source] += origin.weight * link.weight
    for target, weights in shares.items():
        best = max(weights.values())
        for source, weight in sorted(weights.items()):
            if weight == best or weight > SECOND_LINK:
                yield AlignedWords(*source, *target, round(min(weight, 1.0), 4))


def check_requests(requests: Sequence[TranslationRequest], taught: Collection[Direction]) -> None:
    """Refuses what is no request, and directions that the `taught` ones lead to on no way.

    Raises:
        TypeError: One is no request, or its text no text.
        LanguageError: With the languages or directions there are.
    """
    for number, request in enumerate(requests):
        if not isinstance(request, TranslationRequest):
            raise TypeError(f"Requests are TranslationRequest, and number {number} is {type(request).__name__}.")
        if not isinstance(request.text, str):
            raise TypeError(f"Texts are str, and number {number} is {type(request.text).__name__}; decode it first.")
    for source, target in {request.direction for request in requests}:
        check_direction(source, target, taught)


def check_direction(source: str, target: str, taught: Collection[Direction]) -> None:
    """Refuses a direction that the `taught` ones lead to on no way.

    Raises:
        LanguageError: With the languages or directions there are.
    """
    languages = sorted({language for direction in taught for language in direction})
    for language in (source, target):
        if language not in languages:
            raise LanguageError(f"{language!r} is not supported; choose from: {', '.join(languages)}.")
    if source == target or not ((source, target) in taught or find_pivot(taught, source, target)):
        known = ", ".join(f"{one} to {other}" for one, other in reachable(tuple(taught)))
        raise LanguageError(f"{source!r} to {target!r} is not supported; choose from: {known}.")
