"""What every route that translates does: find out languages, hand texts to the batcher, give up when nobody waits."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.answers import Answer
from api.batching import Batcher
from api.detection import Detected, LanguageDetector
from api.errors import BusyError, ClientGoneError, DeadlineError, TranslationFailedError
from api.jobs import Partial
from api.languages import Languages
from api.markup import Markup
from api.text_stream import TextStream
from translator.errors import InputError, LanguageError
from translator.text import join_lines

if TYPE_CHECKING:
    from translator.inference import Translation

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """What a client wants, in the model's own codes.

    Args:
        texts: At least one.
        target: The language wanted.
        source: Of all texts; None finds out that of each.
        html: Whether they are markup.
        alternatives: Further translations wanted of each; below 0 is none.
        detailed: Whether tokens and word links are wanted; markup takes the links anyway.
        join_lines: Whether a line break within a paragraph of text is a space; of markup it is one anyway.
    """

    texts: Sequence[str]
    target: str
    source: str | None
    html: bool = False
    alternatives: int = 0
    detailed: bool = True
    join_lines: bool = False

    def read(self) -> list[str]:
        """Returns the texts as they are to be translated, each character in its place."""
        return list(map(join_lines, self.texts)) if self.join_lines else list(self.texts)


async def answer(
    question: Question, *, languages: Languages, detector: LanguageDetector, batcher: Batcher
) -> list[Answer]:
    """Translates: finds out languages where that is asked, takes HTML apart and puts it together again.

    Raises:
        InvalidRequestError: The markup cannot be taken.
        LanguageError: There is no such direction.
        TranslationFailedError: The translator broke in a way that nobody foresaw.
    """
    texts, target = question.texts, question.target
    pages = await asyncio.to_thread(read_pages, texts) if question.html else None
    detected: Sequence[Detected | None] = [None] * len(texts)
    if question.source is None:
        detected = await detect_sources(
            texts if pages is None else [page.text for page in pages], target, languages, detector
        )
    else:
        languages.check(question.source, target)
    sources = [source_of(found, target) if found else question.source or target for found in detected]
    if pages is not None:
        translated = await translate_pages(pages, sources, target, batcher=batcher)
        return [
            Answer(text, None, found, (source, target) if page.units and source != target else None)
            for page, text, found, source in zip(pages, translated, detected, sources, strict=True)
        ]
    translations = await translate_texts(
        question.read(),
        sources,
        target,
        alternatives=question.alternatives,
        detailed=question.detailed,
        batcher=batcher,
    )
    return [
        Answer(translation.text if translation else text, translation, found, (source, target) if translation else None)
        for text, translation, found, source in zip(texts, translations, detected, sources, strict=True)
    ]


async def read_along(
    question: Question, *, languages: Languages, detector: LanguageDetector, batcher: Batcher
) -> AsyncGenerator[Partial | Answer]:
    """Translates one text, and tells what is certain of it while it is searched; at the end the answer.

    What can be refused is refused before anything is told.

    Raises:
        LanguageError: There is no such direction.
        BusyError: There is too much to do.
    """
    [text] = question.texts
    detected: Detected | None = None
    if question.source is None:
        [detected] = await detect_sources(question.texts, question.target, languages, detector)
    else:
        languages.check(question.source, question.target)
    source = source_of(detected, question.target) if detected else question.source or question.target
    if not text.strip() or source == question.target:
        return _told(_at_once(text), detected)
    alternatives = max(0, question.alternatives)
    stream = batcher.stream(
        question.read()[0],
        source=source,
        target=question.target,
        alternatives=alternatives,
        detailed=question.detailed,
    )
    return _told(stream, detected)


async def _at_once(text: str) -> AsyncGenerator[str]:
    yield text


async def _told(
    stream: "TextStream | AsyncGenerator[str]", detected: Detected | None
) -> AsyncGenerator[Partial | Answer]:
    async with aclosing(stream):
        async for told in stream:
            if isinstance(told, Partial):
                yield told
            elif isinstance(told, str):
                yield Answer(told, None, detected)
            else:
                yield Answer(told.text, told, detected, (told.source, told.target))


async def detect_sources(
    texts: Sequence[str], target: str, languages: Languages, detector: LanguageDetector
) -> list[Detected]:
    """Returns the likeliest language of each text.

    Raises:
        LanguageError: One is in a language that `target` cannot be reached from.
    """
    likeliest = [_foreign(ranking, target) for ranking in await detector.rank_each(texts)]
    for found in likeliest:
        if found.confidence:
            languages.check(found.language, target)
    return likeliest


def _foreign(ranking: Sequence[Detected], target: str) -> Detected:
    """Returns the likeliest language; of several as likely, one that is not wanted already."""
    tied = [found for found in ranking if found.confidence == ranking[0].confidence]
    return next((found for found in tied if found.language != target), ranking[0])


def source_of(detected: Detected, target: str) -> str:
    """Returns what language a text is translated from; one that says nothing of its own is left as it is."""
    return detected.language if detected.confidence else target


async def translate_texts(
    texts: Sequence[str],
    sources: Sequence[str],
    target: str,
    *,
    batcher: Batcher,
    alternatives: int = 0,
    detailed: bool = True,
) -> list["Translation | None"]:
    """Returns one translation a text; only what needs a translator goes to it, for the others it is None.

    Raises:
        TranslationFailedError: The translator broke in a way that nobody foresaw.
    """
    results: list[Translation | None] = [None] * len(texts)
    places = [
        n for n, (text, source) in enumerate(zip(texts, sources, strict=True)) if text.strip() and source != target
    ]
    if not places:
        return results
    try:
        translations = await batcher.translate(
            [texts[n] for n in places],
            sources=[sources[n] for n in places],
            target=target,
            alternatives=max(0, alternatives),
            detailed=detailed,
        )
    except (BusyError, DeadlineError, InputError, LanguageError):
        raise
    except Exception as error:
        raise TranslationFailedError from error
    for place, translation in zip(places, translations, strict=True):
        results[place] = translation
    return results


def read_pages(texts: Sequence[str]) -> list[Markup]:
    """Parses HTML texts, which takes its time: for a thread.

    Raises:
        InvalidRequestError: The elements of one lie too deep within each other.
    """
    return [Markup(text) for text in texts]


async def translate_pages(
    pages: Sequence[Markup], sources: Sequence[str], target: str, *, batcher: Batcher
) -> list[str]:
    """Returns the HTML of each page in the language wanted; one that is in it already comes back as it came."""
    units = [(unit.text, source) for page, source in zip(pages, sources, strict=True) for unit in page.units]
    translations = await translate_texts(
        [text for text, _ in units], [source for _, source in units], target, batcher=batcher
    )
    waiting = iter(translations)
    shares = [list(islice(waiting, len(page.units))) for page in pages]
    return await asyncio.to_thread(
        lambda: [
            page.html if source == target else page.assemble(share)
            for page, source, share in zip(pages, sources, shares, strict=True)
        ]
    )


async def while_connected(request: Request, work: Coroutine[object, object, T]) -> T:
    """Awaits `work`, and cancels it when the client goes away first.

    Raises:
        ClientGoneError: It went away.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_client_leaves(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _client_leaves(request: Request) -> None:
    """Returns once the connection is closed; the body must have been read before."""
    try:
        while (await request.receive())["type"] != "http.disconnect":
            pass
    except ClientDisconnect:
        return
