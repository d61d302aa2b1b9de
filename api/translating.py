"""What every route that translates does: find out languages, hand texts to the batcher, give up when nobody waits."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.batching import Batcher
from api.detection import Detected, LanguageDetector
from api.errors import BusyError, ClientGoneError, DeadlineError, TranslationFailedError
from api.languages import Languages
from translator.errors import CarouselError

if TYPE_CHECKING:
    from translator.inference import Translation

T = TypeVar("T")


async def detect_sources(
    texts: Sequence[str], target: str, languages: Languages, detector: LanguageDetector
) -> list[Detected]:
    """Returns for each text the likeliest of the languages that `target` can be reached from."""
    possible = languages.sources_of(target)
    rankings = await asyncio.to_thread(detector.rank_each, texts)
    return [
        next((found for found in ranking if found.language in possible), Detected(target, 0)) for ranking in rankings
    ]


async def translate_texts(
    texts: Sequence[str], sources: Sequence[str], target: str, *, batcher: Batcher, alternatives: int = 0
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
        )
    except (BusyError, DeadlineError, CarouselError):
        raise
    except Exception as error:
        raise TranslationFailedError from error
    for place, translation in zip(places, translations, strict=True):
        results[place] = translation
    return results


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
