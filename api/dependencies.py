"""What routes ask for by name. Nothing here is global: it hangs on the application that `create_app` made.

To look a name up takes FastAPI some 30 microseconds a request. What every translation needs is asked for together.
"""

from typing import Annotated, NamedTuple, cast

from fastapi import Depends, Request

from api.admission import Admission
from api.answers import Signatures
from api.batching import Batcher
from api.body import read_values
from api.deepl import DeepLRequest
from api.detection import LanguageDetector
from api.errors import InvalidRequestError
from api.languages import Languages
from api.metrics import Metrics
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


async def get_detector(request: Request) -> LanguageDetector:
    """Returns what tells the language of a text."""
    return cast(LanguageDetector, request.app.state.detector)


class Means(NamedTuple):
    """What it takes to translate.

    Args:
        languages: Of the loaded models.
        detector: Tells the language of a text.
        batcher: The way to the translator.
        signatures: Say which models translate, and how.
    """

    languages: Languages
    detector: LanguageDetector
    batcher: Batcher
    signatures: Signatures


async def get_means(request: Request) -> Means:
    """Returns what it takes to translate; there once the application has started."""
    state = request.app.state
    return Means(state.languages, state.detector, state.batcher, state.signatures)


async def get_admission(request: Request) -> Admission:
    """Returns what says who may ask, and how often."""
    return cast(Admission, request.app.state.admission)


async def get_metrics(request: Request) -> Metrics:
    """Returns the figures of this application."""
    return cast(Metrics, request.app.state.metrics)


SettingsDependency = Annotated[Settings, Depends(get_settings)]
BatcherDependency = Annotated[Batcher, Depends(get_batcher)]
LanguagesDependency = Annotated[Languages, Depends(get_languages)]
DetectorDependency = Annotated[LanguageDetector, Depends(get_detector)]
MetricsDependency = Annotated[Metrics, Depends(get_metrics)]
MeansDependency = Annotated[Means, Depends(get_means)]


async def read_body_values(request: Request, settings: SettingsDependency) -> dict[str, object]:
    """Reads the parameters of a request by name, however they were sent.

    Raises:
        InvalidRequestError: The body cannot be read.
        HTTPException: 413, the body is too large.
    """
    return await read_values(request, max_body_bytes=settings.max_body_bytes)


ValuesDependency = Annotated[dict[str, object], Depends(read_body_values)]


AdmissionDependency = Annotated[Admission, Depends(get_admission)]


async def admit_by_field(request: Request, values: ValuesDependency, admission: AdmissionDependency) -> None:
    """Lets a request of LibreTranslate's clients in, whose key is a parameter.

    Raises:
        InvalidKeyError: The key is none of ours.
        MissingKeyError: There is none, and it takes one.
        SlowDownError: It is one too many.
    """
    key = values.get("api_key")
    await admission.admit(key if isinstance(key, str) else "", _address(request))


async def identify_by_header(request: Request, admission: AdmissionDependency) -> None:
    """Asks for the key of one of DeepL's clients, which is in a header, and counts nothing.

    Raises:
        InvalidKeyError: The key is none of ours.
        MissingKeyError: There is none, and it takes one.
    """
    await admission.identify(_key_of_header(request))


def _key_of_header(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "deepl-auth-key" else ""


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


async def read_translate_request(request: Request) -> TranslateRequest:
    """Reads the parameters of `POST /translate`, lets it in, and refuses what is not served.

    Raises:
        InvalidRequestError: A parameter is missing, malformed, beyond a limit, or not served.
        HTTPException: 413, the body is too large.
        Exception: It is not let in, see `admit_by_field`.
    """
    settings = await get_settings(request)
    values = await read_body_values(request, settings)
    await admit_by_field(request, values, await get_admission(request))
    wanted = TranslateRequest.from_values(
        values, max_texts=settings.max_texts, max_alternatives=settings.max_alternatives
    )
    _refuse_unserved(wanted)
    longest = max(map(len, wanted.texts()))
    if longest > settings.max_text_characters:
        raise exceeds_limit(longest, settings.max_text_characters)
    return wanted


TranslateRequestDependency = Annotated[TranslateRequest, Depends(read_translate_request)]


async def read_deepl_request(request: Request) -> DeepLRequest:
    """Lets a request to `POST /v2/translate` in, whose key is in a header, and reads its fields.

    In a form, `text` is repeated.

    Raises:
        InvalidRequestError: A field is missing, malformed, beyond a limit, or not served.
        HTTPException: 413, the body is too large.
        Exception: It is not let in, see `admit_by_field`.
    """
    admission, settings = await get_admission(request), await get_settings(request)
    await admission.admit(_key_of_header(request), _address(request))
    values = await read_values(request, max_body_bytes=settings.max_body_bytes, lists=("text",))
    return DeepLRequest.from_values(values, max_texts=settings.max_texts, max_characters=settings.max_text_characters)


DeepLRequestDependency = Annotated[DeepLRequest, Depends(read_deepl_request)]


def _refuse_unserved(wanted: TranslateRequest) -> None:
    if wanted.format not in ("text", "html"):
        raise InvalidRequestError(f"{wanted.format[:40]} format is not supported")
    if wanted.format == "html" and (wanted.alignment or wanted.scores):
        raise InvalidRequestError("Invalid request: alignment and scores are said of text, not of html")
    if wanted.stream and (wanted.format == "html" or not isinstance(wanted.q, str)):
        raise InvalidRequestError("Invalid request: a stream is of one text, not of an array or of html")
    if wanted.target.strip().lower() == "auto":
        raise InvalidRequestError("auto is not supported")
