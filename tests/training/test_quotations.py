"""What is quoted is the same on both sides, of a third language, and stands where a quotation or a name stood."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.quotations import CORPUS_PHRASES, FOREIGN_WORDS, foreign_phrases, quoted, short_phrases

PHRASES = [[["casa", "sole", "mare"]]]
QUOTATION = re.compile('["\u201e\u201c\u00ab\u00bb]([^"\u201e\u201c\u00ab\u00bb]+)["\u201e\u201c\u00ab\u00bb]')


@given(st.randoms(use_true_random=False))
def test_a_name_that_both_sides_share_becomes_one_quotation(chance: random.Random) -> None:
    source, target = quoted(("Es heißt Anna, sagt man.", "They say it is called Anna."), chance, PHRASES)
    found = QUOTATION.findall(source)
    assert len(found) == 1
    assert source == f'Es heißt "{found[0]}", sagt man.'
    assert target == f'They say it is called "{found[0]}".'


@given(st.randoms(use_true_random=False))
def test_what_each_side_quotes_is_replaced_and_the_marks_stay(chance: random.Random) -> None:
    source, target = quoted(("Er rief «Halt» zu Anna.", '"Stop", he called to Anna.'), chance, PHRASES)
    (said,) = QUOTATION.findall(source)
    assert source == f"Er rief «{said}» zu Anna."
    assert target == f'"{said}", he called to Anna.'


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(("Es regnet.", "It is raining."), id="no name"),
        pytest.param(("Anna ruft Tom.", "Anna calls Tom."), id="two names"),
        pytest.param(('"Ja" und "Nein"', '"Yes" and "no"'), id="two quotations"),
        pytest.param(('"Ruf Anna an!" "Nein."', '"Call Anna!" "No."'), id="a name in one of several quotations"),
        pytest.param(("Anna sah Anna.", "Anna saw Anna."), id="a name that stands twice"),
    ],
)
def test_what_is_not_certain_stays_as_it_is(pair: tuple[str, str]) -> None:
    assert quoted(pair, random.Random(0), PHRASES) == pair


@given(st.randoms(use_true_random=False))
def test_marks_inside_the_quotes_stay(chance: random.Random) -> None:
    source, target = quoted(('"Du bist schön", sagte er.', '"You are lovely," he said.'), chance, PHRASES)
    said = source.split('"')[1]
    assert (source, target) == (f'"{said}", sagte er.', f'"{said}," he said.')


def test_what_lists_have_is_of_neither_language() -> None:
    (lists,) = foreign_phrases("de", "fr")
    assert len(lists) == len(FOREIGN_WORDS) - 2
    known = [set(text.split()) for language, text in FOREIGN_WORDS.items() if language not in ("de", "fr")]
    for phrases, words in zip(lists, known, strict=True):
        assert {word for phrase in phrases for word in phrase.split()} <= words


def test_what_corpora_say_is_of_every_language_but_the_source_s() -> None:
    corpora = {"de": ["Danke schön"], "en": ["Thank you"], "fr": ["merci"], "it": []}
    _, spoken = foreign_phrases("en", "fr", corpora)
    assert spoken == [["Danke schön"], ["merci"]]


def test_a_phrase_is_short_and_has_no_marks() -> None:
    lines = [
        "¡Hasta luego!",
        "¿Qué?",
        "Il est là.",
        "Ça va ?",
        "Ja. Nein.",
        "12",
        "une phrase de cinq mots",
        '"Non"',
        "Ça va ?",
    ]
    assert sorted(short_phrases(lines)) == ["Hasta luego", "Il est là", "Qué", "Ça va"]
    assert (
        len(short_phrases(f"wort {chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}" for n in range(9000)))
        == CORPUS_PHRASES
    )
