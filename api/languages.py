"""The languages of the loaded model as the service speaks of them: codes, names, directions.

Errors use the sentences of LibreTranslate, which clients show to people.
"""

from collections.abc import Sequence

from babel import Locale, UnknownLocaleError

from api.schemas import Language
from translator.errors import LanguageError

MOST_PREFERENCES = 20  # of a header; a browser sends a handful

ALIASES = {"pb": "pt-br", "zh": "zh-hans", "zt": "zh-hant"}
ALIASES |= {new: old for old, new in ALIASES.items()}  # LibreTranslate's old codes and its new ones mean the same

_READERS = """
    ar bg bn ca cs da de el en es et eu fa fi fr gl he hi hr hu id is it ja ko lt lv ms nb nl pl pt ro ru sk sl sq sr sv
    sw th tr uk ur vi zh
"""
READERS = frozenset(_READERS.split())  # not all that Babel knows: it keeps what it has read, 200 kB a language

EXAMPLES = {"en": "How much does this cost?", "de": "Was kostet das?"}


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
        wanted = code.strip().lower()
        known = self._by_lower_case.get(wanted) or self._by_lower_case.get(ALIASES.get(wanted, wanted))
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
                f"{language_name(target)} ({target}) is not available as a target language "
                f"from {language_name(source)} ({source})"
            )

    def listing(self, accept_language: str = "") -> list[Language]:
        """Returns every language with the targets it can be translated to, itself included.

        Args:
            accept_language: The header of the same name: what languages the names are wanted in.
        """
        codes, reader = sorted(self._by_lower_case.values()), preferred_reader(accept_language)
        return [Language(code=code, name=language_name(code, reader), targets=self._targets(code)) for code in codes]

    def example(self) -> dict[str, str]:
        """Returns the body of a request that this model can answer; English to German if it knows it."""
        source, target = min(self._directions, key=lambda pair: (pair != ("en", "de"), pair))
        return {"q": EXAMPLES.get(source, "Hello."), "source": source, "target": target}

    def _targets(self, source: str) -> list[str]:
        return sorted({source} | {target for start, target in self._directions if start == source})


def language_name(code: str, reader: str = "en") -> str:
    """Returns the name of a language, with a capital, in the language of a reader; the code if it has none."""
    try:
        name = Locale(reader).languages.get(code) or Locale.parse(code, sep="-").get_display_name(reader)
    except (UnknownLocaleError, ValueError):
        name = None
    return name[:1].title() + name[1:] if name else code


def preferred_reader(accept_language: str) -> str:
    """Returns the first language of an Accept-Language header that names can be had in; else English."""
    for tag in sorted(accept_language.split(",")[:MOST_PREFERENCES], key=_quality, reverse=True):
        language = tag.partition(";")[0].partition("-")[0].strip().lower()
        if language in READERS and _quality(tag) > 0:
            return language
    return "en"


def _quality(preference: str) -> float:
    """Reads the weight of one entry, such as 0.8 of "de; q=0.8"; one that cannot be read is not wanted."""
    _, _, weight = preference.partition(";")
    try:
        return float(weight.strip().removeprefix("q=") or 1)
    except ValueError:
        return 0.0


def _shortened(text: str, limit: int = 40) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
