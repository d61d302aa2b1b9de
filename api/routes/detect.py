"""`POST /detect`: what language a text is in."""

from fastapi import APIRouter, Depends

from api.answer_models import DetectedLanguage
from api.dependencies import DetectorDependency, SettingsDependency, ValuesDependency, admit_by_field
from api.schemas import DetectRequest, detect_bodies, error_answers

router = APIRouter(tags=["translation"])


@router.post(
    "/detect",
    dependencies=[Depends(admit_by_field)],
    responses=error_answers(400, 403, 413, 429, 500, 503),
    openapi_extra={"requestBody": detect_bodies()},
)
async def detect(
    values: ValuesDependency, detector: DetectorDependency, settings: SettingsDependency
) -> list[DetectedLanguage]:
    """Ranks the languages that a text may be in, the likeliest first, among those that are served.

    There is always one: a text without letters, such as a number, is taken for English with a confidence of 0.
    """
    wanted = DetectRequest.from_values(values, max_characters=settings.max_text_characters)
    [ranking] = await detector.rank_each([wanted.q])
    return [DetectedLanguage(confidence=found.confidence, language=found.language) for found in ranking]
