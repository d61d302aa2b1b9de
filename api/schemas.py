"""What goes in and comes out, as OpenAPI shows it, in LibreTranslate's shapes."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from api.answer_models import DetectedLanguage, Scores, Signature, WordLink
from api.errors import InvalidRequestError


def well_formed(value: object) -> object:
    """Replaces lone surrogates, which JSON can smuggle in and no UTF-8 answer can carry, by U+FFFD.

    The same as JavaScript's `String.prototype.toWellFormed`; what is not a string passes unchanged.
    """
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def not_a_boolean(value: object) -> object:
    """Refuses true and false, which Python counts as 1 and 0; anything else passes unchanged."""
    if isinstance(value, bool):
        raise ValueError("wanted a number")
    return value


Text = Annotated[str, BeforeValidator(well_formed)]
Texts = Annotated[
    list[Text], Field(fail_fast=True)
]  # one wrong item is enough: a list of a million would be as many errors
Count = Annotated[int, BeforeValidator(not_a_boolean)]


class TranslateRequest(BaseModel):
    """The fields of `POST /translate`; unknown ones are ignored, as LibreTranslate's clients expect."""

    q: Text | Texts = Field(
        description="The text, or (in JSON only) an array of texts.", examples=["How much does this cost?"]
    )
    source: Text = Field(description="Language code of q, or `auto`: each text is looked at.", examples=["en"])
    target: Text = Field(description="Language code of the answer.", examples=["de"])
    format: Text = Field("text", description="`text`, or `html`: tags go where their words go.")
    alternatives: Count = Field(0, description="Further translations wanted of each text; there may be fewer.")
    alignment: bool = Field(False, description="Answer also which words belong together. Not in LibreTranslate.")
    scores: bool = Field(False, description="Answer also how sure the model is. Not in LibreTranslate.")
    signature: bool = Field(False, description="Answer also what translated, and how. Not in LibreTranslate.")
    join_lines: bool = Field(
        False,
        description="Take a line break within a paragraph for a space, as in wrapped mail. Not in LibreTranslate.",
    )
    stream: bool = Field(
        False,
        description="Answer one text as server-sent events: `text` with what has settled, then `done` with the whole "
        "answer. Not in LibreTranslate.",
    )

    @classmethod
    def from_values(cls, values: Mapping[str, object], *, max_texts: int, max_alternatives: int) -> "TranslateRequest":
        """Checks what a client sent; an empty value counts as absent, as in LibreTranslate.

        Args:
            values: The parameters by name, as they came.
            max_texts: Most texts in q. They are counted before one of them is looked at.
            max_alternatives: Most further translations of each.

        Raises:
            InvalidRequestError: A parameter is missing or of the wrong kind, or q has too many texts.
        """
        texts = values.get("q")
        if isinstance(texts, list) and len(texts) > max_texts:
            raise exceeds_limit(len(texts), max_texts)
        present = {name: value for name, value in values.items() if _is_given(name, value)}
        try:
            wanted = cls.model_validate(present)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise InvalidRequestError(_sentence(str(first["loc"][0]), str(first["type"]))) from None
        if wanted.alternatives > max_alternatives:
            raise InvalidRequestError(f"Invalid request: alternatives parameter must be <= {max_alternatives}")
        return wanted

    @property
    def detects_language(self) -> bool:
        """Whether the language of each text is to be found out."""
        return self.source.strip().lower() == "auto"

    def texts(self) -> list[str]:
        """Returns the texts as a list, also when q is a single one."""
        return [self.q] if isinstance(self.q, str) else self.q


def exceeds_limit(count: int, limit: int) -> InvalidRequestError:
    """Returns LibreTranslate's refusal of a text that is too long and of too many texts alike."""
    return InvalidRequestError(f"Invalid request: request ({count}) exceeds text limit ({limit})")


def _is_given(name: str, value: object) -> bool:
    """Whether a value counts as present; for `alternatives`, null and false are wrong rather than absent."""
    return value != "" if name == "alternatives" else bool(value)


def _sentence(name: str, kind: str) -> str:
    if kind == "missing":
        return f"Invalid request: missing {name} parameter"
    wanted = {"q": "not a string or an array of strings", "alternatives": "not a number"}
    wanted |= dict.fromkeys(("alignment", "scores", "signature", "join_lines", "stream"), "not true or false")
    return f"Invalid request: {name} parameter is {wanted.get(name, 'not a string')}"


class DetectRequest(BaseModel):
    """The one field of `POST /detect`."""

    q: Text = Field(description="The text.", examples=["How much does this cost?"])

    @classmethod
    def from_values(cls, values: Mapping[str, object], *, max_characters: int) -> "DetectRequest":
        """Checks what a client sent.

        Args:
            values: The parameters by name, as they came.
            max_characters: Of the longest text taken.

        Raises:
            InvalidRequestError: The text is missing, none, or too long.
        """
        if not (text := values.get("q")):
            raise InvalidRequestError(_sentence("q", "missing"))
        if not isinstance(text, str):
            raise InvalidRequestError("Invalid request: q parameter is not a string")
        if len(text) > max_characters:
            raise exceeds_limit(len(text), max_characters)
        return cls(q=text)


class TranslateResponse(BaseModel):
    """The answer of `POST /translate`."""

    translatedText: str | list[str] = Field(
        description="The translation; an array exactly if q was one.", examples=["Wie viel kostet das?"]
    )
    detectedLanguage: DetectedLanguage | list[DetectedLanguage] | None = Field(
        None, description="Only for source `auto`; for each text its own."
    )
    alternatives: list[str] | list[list[str]] | None = Field(
        None, description="Only if asked for, best first; what differs in marks and capitals alone is left out."
    )
    alignment: list[WordLink] | list[list[WordLink]] | None = Field(None, description="Only if asked for.")
    scores: Scores | list[Scores] | None = Field(None, description="Only if asked for.")
    signature: list[Signature] | None = Field(
        None, description="Only if asked for: the models that the texts went through, each once."
    )


class Language(BaseModel):
    """A language of the loaded model."""

    code: str = Field(examples=["en"])
    name: str = Field(description="Its name in a language of `Accept-Language`.", examples=["English"])
    targets: list[str] = Field(description="Codes it can be translated to, itself included.", examples=[["de", "en"]])


class FrontendLanguage(BaseModel):
    """A language that a page begins with."""

    code: str
    name: str


class FrontendSettings(BaseModel):
    """The answer of `GET /frontend/settings`."""

    apiKeys: bool
    charLimit: int = Field(description="Longest text, in characters.")
    filesTranslation: bool
    frontendTimeout: int = Field(description="Milliseconds a page waits after the last key.")
    keyRequired: bool
    language: dict[str, FrontendLanguage] = Field(description="`source` and `target` to begin with.")
    suggestions: bool
    supportedFilesFormat: list[str]


class Health(BaseModel):
    """The answer of `GET /health` once the model is loaded."""

    status: str = Field(examples=["ok"])


class ErrorResponse(BaseModel):
    """The body of every error."""

    error: str = Field(description="What is wrong, for a person.", examples=["zz is not supported"])


def request_bodies() -> dict[str, Any]:
    """Returns the OpenAPI `requestBody` of `POST /translate`, in which a form has a single text."""
    form = TranslateRequest.model_json_schema()
    form["properties"]["q"] = DetectRequest.model_json_schema()["properties"]["q"]
    return bodies_of(TranslateRequest.model_json_schema(), form)


def detect_bodies() -> dict[str, Any]:
    """Returns the OpenAPI `requestBody` of `POST /detect`."""
    schema = DetectRequest.model_json_schema()
    return bodies_of(schema, schema)


def bodies_of(in_json: dict[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    """Returns an OpenAPI `requestBody` that is read as JSON and as both kinds of form."""
    kinds = {
        "application/json": in_json,
        "application/x-www-form-urlencoded": form,
        "multipart/form-data": form,
    }
    return {"required": True, "content": {kind: {"schema": schema} for kind, schema in kinds.items()}}


def error_answers(*statuses: int, model: type[BaseModel] = ErrorResponse) -> dict[int | str, dict[str, Any]]:
    """Returns the OpenAPI `responses` for these error statuses, whose body is a `model`."""
    meanings = {
        400: "The request cannot be served as it is.",
        403: "This server does not do that, or not for this key.",
        413: "The body is larger than the server reads.",
        429: "More requests than this client may make; `Retry-After` says when the next one is taken.",
        500: "The server failed.",
        503: "It cannot be served now; `Retry-After` says when to try again.",
        504: "The translation did not end within the deadline.",
    }
    return {status: {"model": model, "description": meanings[status]} for status in statuses}
