"""Shouting: a sentence in capitals is translated as if it were not, and the answer is put in capitals.

Capitals are spelt letter by letter in the model's pieces, so it has hardly learned a word of them. Both changes keep
every character in its place, so offsets stay true; a letter whose other case is longer stays as it is, save the sharp
s, which has had a capital of its own in German spelling since 2017.
"""

import re

_SHARP_S, _CAPITAL_SHARP_S = "ß", "ẞ"
_DIGIT = re.compile(r"\d")
_WITH_DIGIT = re.compile(r"\S*\d\S*")  # a time, a unit, a street number: "5pm", "10km", "12a"


def is_upper(text: str) -> bool:
    """Whether at least two letters have case and all of them are capitals; what has a digit in it is left aside.

    Example:
        >>> is_upper("WO IST ER?"), is_upper("UM 5pm BITTE"), is_upper("I"), is_upper("WO IST Anna?"), is_upper("42")
        (True, True, False, False, False)
    """
    plain = text.replace(_SHARP_S, "")  # few can type its capital
    if _DIGIT.search(plain):
        plain = _WITH_DIGIT.sub("", plain)
    return plain == plain.upper() and sum(each.lower() != each for each in plain) > 1


def lowered(text: str) -> str:
    """Returns the text as a sentence is written: small letters after a first capital.

    Example:
        >>> lowered("¿WO IST ER?")
        '¿Wo ist er?'
    """
    first = next((place for place, each in enumerate(text) if each.lower() != each.upper()), 0)
    return text[: first + 1] + "".join(map(_lower, text[first + 1 :]))


def raised(text: str) -> str:
    """Returns the text in capitals.

    Example:
        >>> raised("Große Straße")
        'GROẞE STRAẞE'
    """
    return "".join(map(_upper, text))


def _lower(character: str) -> str:
    lower = character.lower()
    return lower if len(lower) == 1 else character


def _upper(character: str) -> str:
    upper = _CAPITAL_SHARP_S if character == _SHARP_S else character.upper()
    return upper if len(upper) == 1 else character
