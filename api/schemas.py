"""What goes in and comes out, as OpenAPI shows it, in LibreTranslate's shapes."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

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
        description="The text, or (in JSON only) an array of texts.", examples=["Where is the train station?"]
    )
    source: Text = Field(description="Language code of q. `auto` is not served yet.", examples=["en"])
    target: Text = Field(description="Language code of the answer.", examples=["de"])
    format: Text = Field("text", description="`text`. `html` is not served yet.")
    alternatives: Count = Field(0, description="Further translations wanted. More than 0 is not served yet.")

    @classmethod
    def from_values(cls, values: Mapping[str, object], *, max_texts: int) -> "TranslateRequest":
        """Checks what a client sent; an empty value counts as absent, as in LibreTranslate.

        Args:
            values: The parameters by name, as they came.
            max_texts: Most texts in q. They are counted before one of them is looked at.

        Raises:
            InvalidRequestError: A parameter is missing or of the wrong kind, or q has too many texts.
        """
        texts = values.get("q")
        if isinstance(texts, list) and len(texts) > max_texts:
            raise exceeds_limit(len(texts), max_texts)
        present = {name: value for name, value in values.items() if _is_given(name, value)}
        try:
            return cls.model_validate(present)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise InvalidRequestError(_sentence(str(first["loc"][0]), str(first["type"]))) from None

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
    return f"Invalid request: {name} parameter is {wanted.get(name, 'not a string')}"


class TranslateResponse(BaseModel):
    """The answer of `POST /translate`."""

    translatedText: str | list[str] = Field(
        description="The translation; an array exactly if q was one.", examples=["Wo ist der Bahnhof?"]
    )


class Language(BaseModel):
    """A language of the loaded model."""

    code: str = Field(examples=["en"])
    name: str = Field(description="Its name in English.", examples=["English"])
    targets: list[str] = Field(description="Codes it can be translated to, itself included.", examples=[["de", "en"]])


class Health(BaseModel):
    """The answer of `GET /health` once the model is loaded."""

    status: str = Field(examples=["ok"])


class ErrorResponse(BaseModel):
    """The body of every error."""

    error: str = Field(description="What is wrong, for a person.", examples=["zz is not supported"])


def request_bodies() -> dict[str, Any]:
    """Returns the OpenAPI `requestBody` of `POST /translate`, which reads JSON and both kinds of form."""
    form = TranslateRequest.model_json_schema()
    form["properties"]["q"] = {
        "type": "string",
        "description": "The text.",
        "examples": ["Where is the train station?"],
    }
    kinds = {
        "application/json": TranslateRequest.model_json_schema(),
        "application/x-www-form-urlencoded": form,
        "multipart/form-data": form,
    }
    return {"required": True, "content": {kind: {"schema": schema} for kind, schema in kinds.items()}}


def error_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Returns the OpenAPI `responses` for these error statuses."""
    meanings = {
        400: "The request cannot be served as it is.",
        413: "The body is larger than the server reads.",
        500: "The server failed.",
        503: "It cannot be served now; `Retry-After` says when to try again.",
        504: "The translation did not end within the deadline.",
    }
    return {status: {"model": ErrorResponse, "description": meanings[status]} for status in statuses}
