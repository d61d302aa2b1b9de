"""`GET /languages`: what the loaded model translates."""

from fastapi import APIRouter

from api.dependencies import LanguagesDependency
from api.schemas import Language

router = APIRouter(tags=["translation"])


@router.get("/languages")
async def list_languages(languages: LanguagesDependency) -> list[Language]:
    """Lists the languages, each with the targets it can be translated to (itself included)."""
    return languages.listing()
