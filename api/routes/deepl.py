"""DeepL's API, version 2, for its clients: texts, languages, usage. Errors are `{"message": "..."}` below /v2."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from api.answers import Answer, links, scores
from api.body import read_values
from api.deepl import (
    NO_LIMIT,
    DeepLError,
    DeepLGlossaryPairs,
    DeepLLanguage,
    DeepLRequest,
    DeepLTranslation,
    DeepLTranslations,
    DeepLUsage,
    bodies,
    list_sources,
    list_targets,
    resolve,
)
from api.dependencies import (
    BatcherDependency,
    DetectorDependency,
    LanguagesDependency,
    SettingsDependency,
    ValuesDependency,
)
from api.errors import InvalidRequestError
from api.schemas import error_answers
from api.translating import detect_sources, read_pages, translate_pages, translate_texts, while_connected

router = APIRouter(prefix="/v2", tags=["DeepL"])


async def read_deepl_request(request: Request, settings: SettingsDependency) -> DeepLRequest:
    """Reads the fields of `POST /v2/translate`; in a form, `text` is repeated."""
    values = await read_values(request, max_body_bytes=settings.max_body_bytes, lists=("text",))
    return DeepLRequest.from_values(values, max_texts=settings.max_texts, max_characters=settings.max_text_characters)


@router.post(
    "/translate",
    responses=error_answers(400, 413, 500, 503, 504, model=DeepLError),
    response_model_exclude_unset=True,
    openapi_extra={"requestBody": bodies()},
)
async def translate(
    request: Request,
    wanted: Annotated[DeepLRequest, Depends(read_deepl_request)],
    languages: LanguagesDependency,
    detector: DetectorDependency,
    batcher: BatcherDependency,
) -> DeepLTranslations:
    """Translates texts, each from the language named or from its own."""
    target = resolve(wanted.target_lang, "target_lang", languages)
    pages = await asyncio.to_thread(read_pages, wanted.text) if wanted.tag_handling else None
    if wanted.source_lang is None:
        readable = wanted.text if pages is None else [page.text for page in pages]
        sources = [found.language for found in await detect_sources(readable, target, languages, detector)]
    else:
        source = resolve(wanted.source_lang, "source_lang", languages)
        languages.check(source, target)
        sources = [source] * len(wanted.text)
    if pages is not None:
        translated = await while_connected(request, translate_pages(pages, sources, target, batcher=batcher))
        answers = [Answer(text) for text in translated]
    else:
        translations = await while_connected(request, translate_texts(wanted.text, sources, target, batcher=batcher))
        found = zip(wanted.text, translations, strict=True)
        answers = [Answer(each.text if each else text, each) for text, each in found]
    items = []
    for text, source, answer in zip(wanted.text, sources, answers, strict=True):
        more: dict[str, Any] = {"alignment": links(answer)} if wanted.alignment else {}
        if wanted.scores:
            more["scores"] = scores(answer)
        items.append(
            DeepLTranslation(
                detected_source_language=source.upper(), text=answer.text, billed_characters=len(text), **more
            )
        )
    return DeepLTranslations(translations=items)


@router.get("/languages", response_model_exclude_unset=True, responses=error_answers(400, 413, model=DeepLError))
async def list_languages(values: ValuesDependency, languages: LanguagesDependency) -> list[DeepLLanguage]:
    """Lists source languages, or with `type=target` those wanted; the client sends it in the body of its GET."""
    match values.get("type", "source"):
        case "source":
            return list_sources(languages)
        case "target":
            return list_targets(languages)
    raise InvalidRequestError("Value for 'type' not supported: it is source or target.")


@router.get("/usage")
async def usage(batcher: BatcherDependency) -> DeepLUsage:
    """Says how many characters were translated since the service started."""
    return DeepLUsage(character_count=batcher.taken_characters, character_limit=NO_LIMIT)


@router.get("/glossary-language-pairs")
async def glossary_language_pairs() -> DeepLGlossaryPairs:
    """Says that there are no glossaries."""
    return DeepLGlossaryPairs(supported_languages=[])
