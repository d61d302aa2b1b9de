"""Numbers: what a translation must not lose, and what a warning is due for.

A model writes digits piece by piece like everything else, and leaves one out or makes another of it now and then. What
is written otherwise and means the same, such as 3.50 for 3,50 or 1500 for 1,500, is not lost.
"""

import re

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_DIGITS = re.compile(r"\d+")


def lost_numbers(text: str, translation: str) -> list[str]:
    """Returns the numbers of a text that its translation does not have, each once.

    Example:
        >>> lost_numbers("12 apples for 3.50 at 9:30", "12 Äpfel für 3,50 um 21:30")
        ['9:30']
    """
    runs = set(_DIGITS.findall(translation))
    whole = {_digits(number) for number in _NUMBER.findall(translation)}
    return [
        number
        for number in dict.fromkeys(_NUMBER.findall(text))
        if _digits(number) not in whole and not runs.issuperset(_DIGITS.findall(number))
    ]


def _digits(number: str) -> str:
    return "".join(_DIGITS.findall(number))
