"""What LibreTranslate's own pages and tools ask a server beside translations; what is not offered is said so."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException

from api.dependencies import AdmissionDependency, LanguagesDependency, SettingsDependency
from api.languages import language_name
from api.schemas import FrontendLanguage, FrontendSettings, error_answers

router = APIRouter(tags=["service"])

FRONTEND_TIMEOUT_MILLISECONDS = 500  # how long upstream's page waits after the last key


@router.get("/frontend/settings")
async def frontend_settings(
    settings: SettingsDependency, languages: LanguagesDependency, admission: AdmissionDependency
) -> FrontendSettings:
    """Says what a page needs to know before the first text."""
    target = languages.example()["target"]
    return FrontendSettings(
        apiKeys=admission.knows_keys,
        charLimit=settings.max_text_characters,
        filesTranslation=False,
        frontendTimeout=FRONTEND_TIMEOUT_MILLISECONDS,
        keyRequired=admission.key_required,
        language={
            "source": FrontendLanguage(code="auto", name="Auto Detect"),
            "target": FrontendLanguage(code=target, name=language_name(target)),
        },
        suggestions=False,
        supportedFilesFormat=[],
    )


@router.post("/suggest", responses=error_answers(403))
async def suggest() -> None:
    """Refuses suggestions for better translations: none are kept."""
    raise HTTPException(403, "Suggestions are disabled on this server.")


@router.post("/translate_file", responses=error_answers(403))
async def translate_file() -> None:
    """Refuses files: only texts are translated."""
    raise HTTPException(403, "Files translation are disabled on this server.")


@router.get("/spec", include_in_schema=False)
async def spec(request: Request) -> dict[str, Any]:
    """Describes the interface where LibreTranslate does; in OpenAPI 3, the same as `/openapi.json`."""
    description: dict[str, Any] = request.app.openapi()
    return description
