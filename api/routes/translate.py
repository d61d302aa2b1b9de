"""`POST /translate`, in LibreTranslate's shapes."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

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
from api.languages import Languages
from api.schemas import TranslateRequest, TranslateResponse, error_answers, request_bodies
from api.translating import (
    detect_sources,
    read_pages,
    source_of,
    translate_pages,
    translate_texts,
    while_connected,
)

if TYPE_CHECKING:
    from translator.inference import Translation

router = APIRouter(tags=["translation"])


@router.post(
    "/translate",
    responses=error_answers(400, 413, 500, 503, 504),
    response_model=TranslateResponse,
    openapi_extra={"requestBody": request_bodies()},
)
async def translate(
    request: Request,
    wanted: TranslateRequestDependency,
    languages: LanguagesDependency,
    detector: DetectorDependency,
    batcher: BatcherDependency,
    signature: SignatureDependency,
) -> Response:
    """Translates a text, or an array of texts, from one language, or each from its own, to another.

    Send JSON, or a form (urlencoded or multipart, merged with the query string). Blank lines and
    surrounding white space come back as they were; a text of white space only comes back empty.
    """
    answers = await while_connected(request, _answers(wanted, languages, detector, batcher))
    # In a thread: the alignment and scores of a long text are a hundred thousand records.
    body = await asyncio.to_thread(lambda: respond(wanted, answers, signature).model_dump_json(exclude_unset=True))
    return Response(body, media_type="application/json")


async def _answers(
    wanted: TranslateRequest, languages: Languages, detector: LanguageDetector, batcher: Batcher
) -> list[Answer]:
    texts, target = wanted.texts(), languages.resolve(wanted.target)
    pages = await asyncio.to_thread(read_pages, texts) if wanted.format == "html" else None
    if wanted.detects_language:
        readable = texts if pages is None else [page.text for page in pages]
        detected: Sequence[Detected | None] = await detect_sources(readable, target, languages, detector)
        sources = [source_of(found, target) for found in detected if found]
    else:
        languages.check(source := languages.resolve(wanted.source), target)
        detected, sources = [None] * len(texts), [source] * len(texts)
    if pages is not None:
        translated = await translate_pages(pages, sources, target, batcher=batcher)
        return [Answer(text, None, found) for text, found in zip(translated, detected, strict=True)]
    translations = await translate_texts(texts, sources, target, alternatives=wanted.alternatives, batcher=batcher)
    return [
        Answer(_text(text, translation), translation, found)
        for text, translation, found in zip(texts, translations, detected, strict=True)
    ]


def _text(text: str, translation: "Translation | None") -> str:
    """Returns what a text became; white space alone becomes nothing, as in LibreTranslate."""
    if translation is not None:
        return translation.text
    return text if text.strip() else ""
