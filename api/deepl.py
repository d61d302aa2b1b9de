"""DeepL's words for what this service does: the fields of `POST /v2/translate`, its language codes, its answers."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from api.answer_models import Scores, WordLink
from api.errors import InvalidRequestError
from api.languages import Languages, language_name
from api.schemas import Text, Texts, bodies_of
from translator.errors import LanguageError

REGIONS = {"en": ("EN-GB", "EN-US"), "pt": ("PT-BR", "PT-PT")}
"""DeepL's clients never ask for these languages without a region; to a model they are one."""

UNLIMITED = 1_000_000_000_000  # what DeepL answers where there is none

FORMALITIES = ("default", "prefer_more", "prefer_less")  # a wish that need not be granted; the model knows one tone

UNSERVED = ("glossary_id", "glossary_ids", "style_id", "translation_memory_id", "custom_instructions")
"""Fields that would change the answer: a client that sends one must not think that it had been heeded."""


class DeepLRequest(BaseModel):
    """The fields of `POST /v2/translate` that are heeded; those that change little are ignored, as DeepL itself may."""

    text: Texts = Field(description="The texts; in a form the field is repeated.", examples=[["Hello, world!"]])
    target_lang: Text = Field(description="Code of the language wanted, a region is ignored.", examples=["DE"])
    source_lang: Text | None = Field(default=None, description="Code of their language; without it each is looked at.")
    formality: Text = Field(default="default", description="`prefer_…` are not heeded, `more` and `less` refused.")
    split_sentences: Text = Field(
        default="1", description="`nonewlines`: a line break within a paragraph is a space; anything else is as 1."
    )
    tag_handling: Text = Field(default="", description="`html`: tags go where their words go.")
    ignore_tags: list[Text] = Field(default=[], description="Refused in HTML; translate=no does the same.")
    alignment: bool = Field(default=False, description="Answer also which words belong together. Not in DeepL.")
    scores: bool = Field(default=False, description="Answer also how sure the model is. Not in DeepL.")

    @classmethod
    def from_values(cls, values: Mapping[str, object], *, max_texts: int, max_characters: int) -> "DeepLRequest":
        """Checks what a client sent; null counts as absent.

        Args:
            values: The parameters by name, as they came.
            max_texts: Most texts.
            max_characters: Of the longest.

        Raises:
            InvalidRequestError: A field is missing, of the wrong kind, beyond a limit, or asks for what is not served.
        """
        present = {name: value for name, value in values.items() if value not in (None, "", [])}
        for name in UNSERVED:
            if name in present:
                raise InvalidRequestError(f"{name} is not served here; send the request without it.")
        if isinstance(text := present.get("text"), str):
            present["text"] = [text]
        elif isinstance(text, list) and len(text) > max_texts:
            raise InvalidRequestError(f"There are {len(text)} texts, and at most {max_texts} are taken at once.")
        try:
            wanted = cls.model_validate(present)
        except ValidationError as error:
            raise InvalidRequestError(_sentence(error)) from None
        if wanted.formality.lower() not in FORMALITIES:
            raise InvalidRequestError("'formality' is not supported for given 'target_lang'; prefer_more and such are.")
        if wanted.tag_handling not in ("", "html"):
            raise InvalidRequestError(f"Value for 'tag_handling' not supported: {wanted.tag_handling[:40]}; html is.")
        if wanted.tag_handling and (wanted.ignore_tags or wanted.alignment or wanted.scores):
            raise InvalidRequestError("With 'tag_handling', 'ignore_tags', 'alignment' and 'scores' are not supported.")
        if (longest := max(map(len, wanted.text))) > max_characters:
            raise InvalidRequestError(f"A text has {longest} characters, and at most {max_characters} are taken.")
        return wanted

    @property
    def joins_lines(self) -> bool:
        """Whether a line break within a paragraph is a space."""
        return self.split_sentences == "nonewlines"


class DeepLTranslation(BaseModel):
    """One text's translation."""

    detected_source_language: str = Field(examples=["EN"])
    text: str = Field(examples=["Hallo, Welt!"])
    billed_characters: int = Field(description="Of the text that came; nobody is billed.")
    alignment: list[WordLink] | None = Field(default=None, description="Only if asked for.")
    scores: Scores | None = Field(default=None, description="Only if asked for.")


class DeepLTranslations(BaseModel):
    """The answer of `POST /v2/translate`: one translation a text, in order."""

    translations: list[DeepLTranslation]


class DeepLLanguage(BaseModel):
    """A language, as DeepL lists it."""

    language: str = Field(examples=["EN-GB"])
    name: str = Field(examples=["English (United Kingdom)"])
    supports_formality: bool | None = Field(default=None, description="Of targets; always false.")


class DeepLUsage(BaseModel):
    """Characters translated since the service started; there is no limit."""

    character_count: int
    character_limit: int


class DeepLGlossaryPairs(BaseModel):
    """The answer of `GET /v2/glossary-language-pairs`: none, as there are no glossaries."""

    supported_languages: list[dict[str, str]]


class DeepLError(BaseModel):
    """The body of every error below /v2."""

    message: str = Field(examples=["Value for 'target_lang' not supported: ZZ"])


def resolve_code(code: str, field: str, languages: Languages) -> str:
    """Returns the model's own code for one of DeepL's, whose region is ignored if the model knows none.

    Raises:
        InvalidRequestError: The model does not know the language.
    """
    for known_as in (code, code.partition("-")[0]):
        try:
            return languages.resolve(known_as)
        except LanguageError:
            continue
    raise InvalidRequestError(f"Value for '{field}' not supported: {code[:40]}; /v2/languages lists what is.")


def list_sources(languages: Languages) -> list[DeepLLanguage]:
    """Returns what can be translated from."""
    return [
        DeepLLanguage(language=entry.code.upper(), name=entry.name)
        for entry in languages.listing()
        if entry.targets != [entry.code]
    ]


def list_targets(languages: Languages) -> list[DeepLLanguage]:
    """Returns what can be translated to, in DeepL's regions."""
    reached = {target for entry in languages.listing() for target in entry.targets if target != entry.code}
    codes = [code for target in sorted(reached) for code in REGIONS.get(target, (target.upper(),))]
    return [DeepLLanguage(language=code, name=_name(code), supports_formality=False) for code in codes]


def translate_bodies() -> dict[str, Any]:
    """Returns the OpenAPI `requestBody` of `POST /v2/translate`."""
    schema = DeepLRequest.model_json_schema()
    return bodies_of(schema, schema)


def language_type() -> dict[str, Any]:
    """Returns the OpenAPI parameter of `GET /v2/languages`, which clients also send as a body."""
    schema = {"type": "string", "enum": ["source", "target"], "default": "source"}
    return {"name": "type", "in": "query", "required": False, "schema": schema}


def _name(code: str) -> str:
    language, _, region = code.partition("-")
    return language_name(f"{language.lower()}-{region}" if region else language.lower())


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name, kind = str(first["loc"][0]), str(first["type"])
    if kind == "missing":
        return f"Parameter '{name}' not specified."
    wanted = {"text": "a string or an array of strings", "alignment": "true or false", "scores": "true or false"}
    return f"Value for '{name}' is not {wanted.get(name, 'a string')}."
