"""DeepL's API, version 2, for its clients: texts, languages, usage. Errors are `{"message": "..."}` below /v2."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from api.answers import Answer, links, scores
from api.batching import Batcher
from api.deepl import (
    UNLIMITED,
    DeepLError,
    DeepLGlossaryPairs,
    DeepLLanguage,
    DeepLRequest,
    DeepLTranslation,
    DeepLTranslations,
    DeepLUsage,
    language_type,
    list_sources,
    list_targets,
    resolve_code,
    translate_bodies,
)
from api.dependencies import (
    BatcherDependency,
    DeepLRequestDependency,
    DetectorDependency,
    LanguagesDependency,
    ValuesDependency,
)
from api.detection import LanguageDetector
from api.errors import InvalidRequestError
from api.languages import Languages
from api.schemas import error_answers
from api.translating import (
    detect_sources,
    read_pages,
    source_of,
    translate_pages,
    translate_texts,
    while_connected,
)

router = APIRouter(prefix="/v2", tags=["DeepL"])


@router.post(
    "/translate",
    responses=error_answers(400, 413, 500, 503, 504, model=DeepLError),
    response_model=DeepLTranslations,
    openapi_extra={"requestBody": translate_bodies()},
)
async def translate(
    request: Request,
    wanted: DeepLRequestDependency,
    languages: LanguagesDependency,
    detector: DetectorDependency,
    batcher: BatcherDependency,
) -> Response:
    """Translates texts, each from the language named or from its own."""
    items = await while_connected(request, _items(wanted, languages, detector, batcher))
    body = await asyncio.to_thread(lambda: DeepLTranslations(translations=items()).model_dump_json(exclude_unset=True))
    return Response(body, media_type="application/json")


async def _items(
    wanted: DeepLRequest, languages: Languages, detector: LanguageDetector, batcher: Batcher
) -> Callable[[], list[DeepLTranslation]]:
    """Translates, and returns what makes the answer of it, which for a long text takes its time: for a thread."""
    target = resolve_code(wanted.target_lang, "target_lang", languages)
    pages = await asyncio.to_thread(read_pages, wanted.text) if wanted.tag_handling else None
    if wanted.source_lang is None:
        readable = wanted.text if pages is None else [page.text for page in pages]
        detected = await detect_sources(readable, target, languages, detector)
        named, sources = [found.language for found in detected], [source_of(found, target) for found in detected]
    else:
        source = resolve_code(wanted.source_lang, "source_lang", languages)
        languages.check(source, target)
        named = sources = [source] * len(wanted.text)
    if pages is not None:
        answers = [Answer(text) for text in await translate_pages(pages, sources, target, batcher=batcher)]
    else:
        translations = await translate_texts(wanted.text, sources, target, batcher=batcher)
        found = zip(wanted.text, translations, strict=True)
        answers = [Answer(each.text if each else text, each) for text, each in found]
    parts = list(zip(wanted.text, named, answers, strict=True))
    return lambda: [_item(text, language, answer, wanted) for text, language, answer in parts]


def _item(text: str, language: str, answer: Answer, wanted: DeepLRequest) -> DeepLTranslation:
    more: dict[str, Any] = {"alignment": links(answer)} if wanted.alignment else {}
    if wanted.scores:
        more["scores"] = scores(answer)
    return DeepLTranslation(
        detected_source_language=language.upper(), text=answer.text, billed_characters=len(text), **more
    )


@router.get(
    "/languages",
    response_model_exclude_unset=True,
    responses=error_answers(400, 413, model=DeepLError),
    openapi_extra={"parameters": [language_type()]},
)
async def list_languages(values: ValuesDependency, languages: LanguagesDependency) -> list[DeepLLanguage]:
    """Lists source languages, or with `type=target` those wanted; the client sends it in the body of its GET."""
    match str(values.get("type") or "source").lower():
        case "source":
            return list_sources(languages)
        case "target":
            return list_targets(languages)
    raise InvalidRequestError("Value for 'type' not supported: it is source or target.")


@router.get("/usage")
async def usage(batcher: BatcherDependency) -> DeepLUsage:
    """Says how many characters were translated since the service started."""
    return DeepLUsage(character_count=batcher.translated_characters, character_limit=UNLIMITED)


@router.get("/glossary-language-pairs")
async def glossary_language_pairs() -> DeepLGlossaryPairs:
    """Says that there are no glossaries."""
    return DeepLGlossaryPairs(supported_languages=[])
