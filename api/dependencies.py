"""What routes ask for by name. Nothing here is global: it hangs on the application that `create_app` made."""

from typing import Annotated, cast

from fastapi import Depends, Request

from api.batching import Batcher
from api.body import read_values
from api.errors import InvalidRequestError
from api.languages import Languages
from api.schemas import TranslateRequest, exceeds_limit
from api.settings import Settings


async def get_settings(request: Request) -> Settings:
    """Returns the settings that the application was made with."""
    return cast(Settings, request.app.state.settings)


async def get_batcher(request: Request) -> Batcher:
    """Returns the way to the translator; there once the application has started."""
    return cast(Batcher, request.app.state.batcher)


async def get_languages(request: Request) -> Languages:
    """Returns the languages of the loaded model."""
    return cast(Languages, request.app.state.languages)


SettingsDependency = Annotated[Settings, Depends(get_settings)]
BatcherDependency = Annotated[Batcher, Depends(get_batcher)]
LanguagesDependency = Annotated[Languages, Depends(get_languages)]


async def read_translate_request(request: Request, settings: SettingsDependency) -> TranslateRequest:
    """Reads the parameters of `POST /translate` and refuses what is not served, each with its own sentence.

    Raises:
        InvalidRequestError: A parameter is missing, malformed, beyond a limit, or not served.
        HTTPException: 413, the body is too large.
    """
    values = await read_values(request, max_body_bytes=settings.max_body_bytes)
    wanted = TranslateRequest.from_values(values, max_texts=settings.max_texts)
    _refuse_unserved(wanted)
    longest = max(map(len, wanted.texts()))
    if longest > settings.max_text_characters:
        raise exceeds_limit(longest, settings.max_text_characters)
    return wanted


TranslateRequestDependency = Annotated[TranslateRequest, Depends(read_translate_request)]


def _refuse_unserved(wanted: TranslateRequest) -> None:
    if wanted.format != "text":
        raise InvalidRequestError(f"{wanted.format[:40]} format is not supported")
    if wanted.target.strip().lower() == "auto":
        raise InvalidRequestError("auto is not supported")
    if wanted.source.strip().lower() == "auto":
        raise InvalidRequestError("auto is not supported as source yet; name the language of the text")
    if wanted.alternatives > 0:
        raise InvalidRequestError("Invalid request: alternatives parameter must be <= 0")
