"""DeepL's API, version 2, for its clients: texts, languages, usage. Errors are `{"message": "..."}` below /v2."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from api.answers import Answer, links, scores, written_aside
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
    LanguagesDependency,
    MeansDependency,
    ValuesDependency,
    identify_by_header,
)
from api.errors import InvalidRequestError
from api.schemas import error_answers
from api.translating import Question, answer, while_connected

router = APIRouter(prefix="/v2", tags=["DeepL"])


@router.post(
    "/translate",
    responses=error_answers(400, 403, 413, 429, 500, 503, 504, model=DeepLError),
    response_model=DeepLTranslations,
    openapi_extra={"requestBody": translate_bodies()},
)
async def translate(request: Request, wanted: DeepLRequestDependency, means: MeansDependency) -> Response:
    """Translates texts, each from the language named or from its own."""
    languages = means.languages
    question = Question(
        wanted.text,
        resolve_code(wanted.target_lang, "target_lang", languages),
        wanted.source_lang and resolve_code(wanted.source_lang, "source_lang", languages),
        html=bool(wanted.tag_handling),
        detailed=wanted.alignment or wanted.scores,
        join_lines=wanted.joins_lines,
    )
    work = answer(question, languages=languages, detector=means.detector, batcher=means.batcher)
    answers = await while_connected(request, work)
    body = await written_aside(
        wanted.text, lambda: _body(wanted, question, answers).model_dump_json(exclude_unset=True)
    )
    return Response(body, media_type="application/json")


def _body(wanted: DeepLRequest, question: Question, answers: Sequence[Answer]) -> DeepLTranslations:
    """Makes the answer, which for a long text with its alignment takes its time: for a thread."""
    items = [
        _item(text, found.detected.language if found.detected else question.source or question.target, found, wanted)
        for text, found in zip(wanted.text, answers, strict=True)
    ]
    return DeepLTranslations(translations=items)


def _item(text: str, language: str, found: Answer, wanted: DeepLRequest) -> DeepLTranslation:
    more: dict[str, Any] = {"alignment": links(found)} if wanted.alignment else {}
    if wanted.scores:
        more["scores"] = scores(found)
    return DeepLTranslation(
        detected_source_language=language.upper(), text=found.text, billed_characters=len(text), **more
    )


@router.get(
    "/languages",
    dependencies=[Depends(identify_by_header)],
    response_model_exclude_unset=True,
    responses=error_answers(400, 403, 413, 503, model=DeepLError),
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


@router.get("/usage", dependencies=[Depends(identify_by_header)], responses=error_answers(403, 503, model=DeepLError))
async def usage(batcher: BatcherDependency) -> DeepLUsage:
    """Says how many characters were translated since the service started."""
    return DeepLUsage(character_count=batcher.translated_characters, character_limit=UNLIMITED)


@router.get(
    "/glossary-language-pairs",
    dependencies=[Depends(identify_by_header)],
    responses=error_answers(403, 503, model=DeepLError),
)
async def glossary_language_pairs() -> DeepLGlossaryPairs:
    """Says that there are no glossaries."""
    return DeepLGlossaryPairs(supported_languages=[])
