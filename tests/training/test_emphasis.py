"""A word is said again as often as its translation, where both stand, and only if they belong to each other alone."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.emphasis import TIMES, emphasised
from training.uncapitalised import Uncapitalised

INNER = Uncapitalised(["Yes, please do", "Ask Tom"]), Uncapitalised(["Ja, bitte", "Hier ist Wasser"])


@given(st.randoms(use_true_random=False))
def test_the_linked_words_are_said_equally_often(chance: random.Random) -> None:
    source, target = emphasised(("Das alte Haus ist leer.", "The old house is empty."), {(1, 1)}, chance, inner=INNER)
    said = re.fullmatch("Das (alte(?:,? alte)+) Haus ist leer[.]", source)
    assert said
    assert target == f"The {said[1].replace('alte', 'old')} house is empty."
    assert said[1].count("alte") in TIMES


@given(st.randoms(use_true_random=False))
def test_a_capital_that_is_the_sentence_s_is_not_repeated(chance: random.Random) -> None:
    source, target = emphasised(("Please help me.", "Bitte hilf mir."), {(0, 0)}, chance, inner=INNER)
    assert re.match("Please,? please", source)
    assert re.match("Bitte,? bitte", target)
    source, target = emphasised(("Tom drinks.", "Wasser trinkt er."), {(0, 0)}, chance, inner=INNER)
    assert re.match("Tom,? Tom", source)
    assert re.match("Wasser,? Wasser", target)


@pytest.mark.parametrize(
    ("pair", "links"),
    [
        pytest.param(("Das alte Haus", "The old house"), set[tuple[int, int]](), id="no links"),
        pytest.param(("in Ruhe lassen", "leave alone"), {(1, 1), (2, 1)}, id="two words for one"),
        pytest.param(("Er geht.", "He is going."), {(1, 1), (1, 2)}, id="one word for two"),
        pytest.param(("Es ist so", "It is so"), {(0, 0), (1, 1), (2, 2)}, id="too short"),
        pytest.param(("Don't", "Nicht"), {(0, 0), (1, 0)}, id="half of a word"),
        pytest.param(("Zimmer 318", "Room 318"), {(1, 1)}, id="a number"),
    ],
)
def test_what_has_no_one_translation_stays_as_it_is(pair: tuple[str, str], links: set[tuple[int, int]]) -> None:
    assert emphasised(pair, links, random.Random(0), inner=INNER) == pair
