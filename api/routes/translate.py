"""`POST /translate`, in LibreTranslate's shapes."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request

from api.answers import Answer, respond
from api.dependencies import (
    BatcherDependency,
    DetectorDependency,
    LanguagesDependency,
    SignatureDependency,
    TranslateRequestDependency,
)
from api.detection import Detected
from api.schemas import TranslateResponse, error_answers, request_bodies
from api.translating import detect_sources, read_pages, translate_pages, translate_texts, while_connected

if TYPE_CHECKING:
    from translator.inference import Translation

router = APIRouter(tags=["translation"])


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
    pages = await asyncio.to_thread(read_pages, texts) if wanted.format == "html" else None
    detected: Sequence[Detected | None] = [None] * len(texts)
    if wanted.detects_language:
        readable = texts if pages is None else [page.text for page in pages]
        detected = await detect_sources(readable, target, languages, detector)
    else:
        languages.check(source := languages.resolve(wanted.source), target)
    sources = [found.language if found else source for found in detected]
    if pages is not None:
        translated = await while_connected(request, translate_pages(pages, sources, target, batcher=batcher))
        answers = [Answer(text, None, found) for text, found in zip(translated, detected, strict=True)]
        return respond(wanted, answers, signature)
    work = translate_texts(texts, sources, target, alternatives=wanted.alternatives, batcher=batcher)
    translations = await while_connected(request, work)
    answers = [
        Answer(_text(text, translation), translation, found)
        for text, translation, found in zip(texts, translations, detected, strict=True)
    ]
    return respond(wanted, answers, signature)


def _text(text: str, translation: "Translation | None") -> str:
    """Returns what a text became; white space alone becomes nothing, as in LibreTranslate."""
    if translation is not None:
        return translation.text
    return text if text.strip() else ""
