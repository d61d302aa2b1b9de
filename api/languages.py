"""The languages of the loaded model as the service speaks of them: codes, English names, directions.

Errors use the sentences of LibreTranslate, which clients show to people.
"""

from collections.abc import Sequence

from api.schemas import Language
from translator.errors import LanguageError

ENGLISH_NAMES = {
    "ar": "Arabic", "az": "Azerbaijani", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech",
    "da": "Danish", "de": "German", "el": "Greek", "en": "English", "eo": "Esperanto", "es": "Spanish",
    "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French", "ga": "Irish",
    "gl": "Galician", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian",
    "is": "Icelandic", "it": "Italian", "ja": "Japanese", "ko": "Korean", "la": "Latin", "lt": "Lithuanian",
    "lv": "Latvian", "ms": "Malay", "nb": "Norwegian", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian",
    "sv": "Swedish", "sw": "Swahili", "th": "Thai", "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian",
    "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip

EXAMPLES = {"en": "Where is the train station?", "de": "Wo ist der Bahnhof?"}


class Languages:
    """What can be asked of a model.

    Args:
        codes: The languages of the model.
        directions: Its (source, target) pairs.
    """

    def __init__(self, codes: Sequence[str], directions: Sequence[tuple[str, str]]) -> None:
        """Makes the table of one model."""
        self._by_lower_case = {code.lower(): code for code in codes}
        self._directions = frozenset(directions)

    def resolve(self, code: str) -> str:
        """Returns the model's own spelling of a language code typed in any case.

        Raises:
            LanguageError: The model does not know the language.
        """
        known = self._by_lower_case.get(code.strip().lower())
        if known is None:
            raise LanguageError(f"{_shortened(code)} is not supported")
        return known

    def check(self, source: str, target: str) -> None:
        """Refuses a pair that the model does not translate, not even by a third language; one to itself is fine.

        Raises:
            LanguageError: Both languages are known, the direction is not.
        """
        if source != target and (source, target) not in self._directions:
            raise LanguageError(
                f"{english_name(target)} ({target}) is not available as a target language "
                f"from {english_name(source)} ({source})"
            )

    def listing(self) -> list[Language]:
        """Returns every language with the targets it can be translated to, itself included."""
        codes = sorted(self._by_lower_case.values())
        return [Language(code=code, name=english_name(code), targets=self._targets(code)) for code in codes]

    def example(self) -> dict[str, str]:
        """Returns the body of a request that this model can answer; English to German if it knows it."""
        source, target = min(self._directions, key=lambda pair: (pair != ("en", "de"), pair))
        return {"q": EXAMPLES.get(source, "Hello."), "source": source, "target": target}

    def _targets(self, source: str) -> list[str]:
        return sorted({source} | {target for start, target in self._directions if start == source})


def english_name(code: str) -> str:
    """Returns the English name of a language, or the code of one that has none here."""
    return ENGLISH_NAMES.get(code.lower(), code)


def _shortened(text: str, limit: int = 40) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
