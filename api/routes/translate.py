"""`POST /translate`, in LibreTranslate's shapes."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TypeVar

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect

from api.batching import Batcher
from api.dependencies import BatcherDependency, LanguagesDependency, TranslateRequestDependency
from api.errors import BusyError, ClientGoneError, DeadlineError, TranslationFailedError
from api.schemas import TranslateResponse, error_answers, request_bodies
from translator.errors import CarouselError

router = APIRouter(tags=["translation"])

T = TypeVar("T")


@router.post(
    "/translate",
    responses=error_answers(400, 413, 500, 503, 504),
    openapi_extra={"requestBody": request_bodies()},
)
async def translate(
    request: Request,
    wanted: TranslateRequestDependency,
    languages: LanguagesDependency,
    batcher: BatcherDependency,
) -> TranslateResponse:
    """Translates a text, or an array of texts, from one language to another.

    Send JSON, or a form (urlencoded or multipart, merged with the query string). Blank lines and
    surrounding white space come back as they were; a text of white space only comes back empty.
    """
    source, target = languages.resolve(wanted.source), languages.resolve(wanted.target)
    languages.check(source, target)
    work = translate_texts(wanted.texts(), source=source, target=target, batcher=batcher)
    translated = await while_connected(request, work)
    return TranslateResponse(translatedText=translated[0] if isinstance(wanted.q, str) else translated)


async def translate_texts(texts: Sequence[str], *, source: str, target: str, batcher: Batcher) -> list[str]:
    """Returns one translation a text; only what needs a translator goes to it.

    Raises:
        TranslationFailedError: The translator broke in a way that nobody foresaw.
    """
    results = [text if text.strip() else "" for text in texts]
    positions = [i for i, text in enumerate(results) if text]
    if source == target or not positions:
        return results
    try:
        translations = await batcher.translate([texts[i] for i in positions], source=source, target=target)
    except (BusyError, DeadlineError, CarouselError):
        raise
    except Exception as error:
        raise TranslationFailedError from error
    for position, translation in zip(positions, translations, strict=True):
        results[position] = translation.text
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
