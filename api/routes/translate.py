"""`POST /translate`, in LibreTranslate's shapes."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, TypeVar

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect

from api.answers import Answer, respond
from api.batching import Batcher
from api.dependencies import (
    BatcherDependency,
    DetectorDependency,
    LanguagesDependency,
    SignatureDependency,
    TranslateRequestDependency,
)
from api.detection import Detected, LanguageDetector
from api.errors import BusyError, ClientGoneError, DeadlineError, TranslationFailedError
from api.languages import Languages
from api.schemas import TranslateRequest, TranslateResponse, error_answers, request_bodies
from translator.errors import CarouselError

if TYPE_CHECKING:
    from translator.inference import Translation

router = APIRouter(tags=["translation"])

T = TypeVar("T")


@router.post(
    "/translate",
    responses=error_answers(400, 413, 500, 503, 504),
    response_model_exclude_unset=True,
    openapi_extra={"requestBody": request_bodies()},
)
async def translate(
    request: Request,
    wanted: TranslateRequestDependency,
    languages: LanguagesDependency,
    detector: DetectorDependency,
    batcher: BatcherDependency,
    signature: SignatureDependency,
) -> TranslateResponse:
    """Translates a text, or an array of texts, from one language, or each from its own, to another.

    Send JSON, or a form (urlencoded or multipart, merged with the query string). Blank lines and
    surrounding white space come back as they were; a text of white space only comes back empty.
    """
    target = languages.resolve(wanted.target)
    texts = wanted.texts()
    detected: Sequence[Detected | None] = [None] * len(texts)
    if wanted.detects_language:
        detected = await detect_sources(texts, target, languages, detector)
    else:
        languages.check(source := languages.resolve(wanted.source), target)
    sources = [found.language if found else source for found in detected]
    translations = await while_connected(request, translate_texts(texts, sources, target, wanted, batcher))
    answers = [
        Answer(_text(text, translation), translation, found)
        for text, translation, found in zip(texts, translations, detected, strict=True)
    ]
    return respond(wanted, answers, signature)


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
    texts: Sequence[str], sources: Sequence[str], target: str, wanted: TranslateRequest, batcher: Batcher
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
            alternatives=max(0, wanted.alternatives),
        )
    except (BusyError, DeadlineError, CarouselError):
        raise
    except Exception as error:
        raise TranslationFailedError from error
    for place, translation in zip(places, translations, strict=True):
        results[place] = translation
    return results


def _text(text: str, translation: "Translation | None") -> str:
    """Returns what a text became; white space alone becomes nothing, as in LibreTranslate."""
    if translation is not None:
        return translation.text
    return text if text.strip() else ""


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
