"""`POST /translate`, in LibreTranslate's shapes."""

from fastapi import APIRouter, Request, Response

from api.answers import blank_as_nothing, respond, written_aside
from api.dependencies import MeansDependency, TranslateRequestDependency
from api.schemas import TranslateResponse, error_answers, request_bodies
from api.streaming import event_stream, streamed
from api.translating import Question, answer, read_along, while_connected

router = APIRouter(tags=["translation"])


@router.post(
    "/translate",
    responses={200: event_stream(), **error_answers(400, 403, 413, 429, 500, 503, 504)},
    response_model=TranslateResponse,
    openapi_extra={"requestBody": request_bodies()},
)
async def translate(request: Request, wanted: TranslateRequestDependency, means: MeansDependency) -> Response:
    """Translates a text, or an array of texts, from one language, or each from its own, to another.

    Send JSON, or a form (urlencoded or multipart, merged with the query string). Blank lines and
    surrounding white space come back as they were; a text of white space only comes back empty.
    With `stream` the answer comes as server-sent events, while it is found.
    """
    languages, detector, batcher, signatures = means
    question = Question(
        wanted.texts(),
        languages.resolve(wanted.target),
        None if wanted.detects_language else languages.resolve(wanted.source),
        html=wanted.format == "html",
        alternatives=wanted.alternatives,
        detailed=wanted.alignment or wanted.scores,
        join_lines=wanted.join_lines,
    )
    if wanted.stream:
        told = await read_along(question, languages=languages, detector=detector, batcher=batcher)
        return streamed(told, request=request, wanted=wanted, signatures=signatures)
    work = answer(question, languages=languages, detector=detector, batcher=batcher)
    answers = [blank_as_nothing(found) for found in await while_connected(request, work)]
    body = await written_aside(
        question.texts, lambda: respond(wanted, answers, signatures).model_dump_json(exclude_unset=True)
    )
    return Response(body, media_type="application/json")
