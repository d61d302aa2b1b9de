"""`GET /languages`: what the loaded model translates."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from api.dependencies import LanguagesDependency
from api.schemas import Language

router = APIRouter(tags=["translation"])


@router.get("/languages")
async def list_languages(
    response: Response, languages: LanguagesDependency, accept_language: Annotated[str, Header()] = ""
) -> list[Language]:
    """Lists the languages, each with the targets it can be translated to (itself included).

    Their names are in the first language of the `Accept-Language` header that is known, else English.
    """
    response.headers["Vary"] = "Accept-Language"
    return languages.listing(accept_language)
