"""Shouting: seen, taken down, and put back, every character in its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.casing import is_upper, lowered, raised


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("WHERE IS TOM?", True, id="a question"),
        pytest.param("STRAẞE", True, id="with a capital sharp s"),
        pytest.param("ÇA VA", True, id="with an accent"),
        pytest.param("IT IS 5 O'CLOCK", True, id="with a number"),
        pytest.param("I", False, id="a single letter"),
        pytest.param("PLEASE CALL ME AT 5pm.", True, id="a unit among capitals"),
        pytest.param("12a", False, id="nothing but a number"),
        pytest.param("STRAsSE", False, id="one small letter"),
        pytest.param("HTML/CSS/JSON as text", False, id="names before small words"),
        pytest.param("USA oder UK", False, id="names between small words"),
        pytest.param("iPad", False, id="one capital"),
        pytest.param("Tom", False, id="a name"),
        pytest.param("", False, id="nothing"),
        pytest.param("123 !?", False, id="no letter"),
        pytest.param("你好", False, id="letters without case"),
    ],
)
def test_capitals_are_seen(text: str, expected: bool) -> None:
    assert is_upper(text) is expected


@given(st.text())
def test_both_changes_keep_every_character_in_its_place(text: str) -> None:
    for changed in (lowered(text), raised(text)):
        assert len(changed) == len(text)
        for new, old in zip(changed, text, strict=True):
            assert new.casefold() == old.casefold() or new.upper() == old.upper()


@given(st.text(st.sampled_from("aäßzÉñ 5?'")))
def test_what_was_put_in_capitals_is_in_capitals(text: str) -> None:
    letters = sum(each.isalpha() for word in text.split() if "5" not in word for each in word)
    assert is_upper(raised(text)) is (letters > 1)
    assert raised(lowered(raised(text))) == raised(text)


def test_a_small_sharp_s_among_capitals_is_no_small_letter() -> None:
    assert is_upper("DAS IST GROß.")
    assert not is_upper("ß ß")
    assert lowered("DAS IST GROß.") == "Das ist groß."
