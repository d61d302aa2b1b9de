"""Which numbers count as lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.numbers import lost_numbers


@pytest.mark.parametrize(
    ("text", "translation", "lost"),
    [
        pytest.param("Is 5 < 7?", "Ist 5 < ?", ["7"], id="left out"),
        pytest.param("before 9:30", "vor 21:30", ["9:30"], id="made another"),
        pytest.param("It costs 3.50.", "Es kostet 3,50.", [], id="another point"),
        pytest.param("1,500 people", "1500 Leute", [], id="without its comma"),
        pytest.param("1500 people", "1.500 Leute", [], id="with one"),
        pytest.param("at 7:35", "um 7 Uhr 35", [], id="in parts"),
        pytest.param("7 and 7", "7", [], id="said once"),
        pytest.param("8 of 8 and 9 of 9", "none", ["8", "9"], id="each once"),
        pytest.param("in 1987", "1978", ["1987"], id="turned round"),
        pytest.param("15", "150", ["15"], id="a part of another"),
        pytest.param("no number", "eine 1", [], id="none"),
    ],
)
def test_a_number_is_lost_if_the_translation_has_it_in_no_spelling(
    text: str, translation: str, lost: list[str]
) -> None:
    assert lost_numbers(text, translation) == lost


@given(st.text(st.sampled_from("019.,: a")))
def test_a_text_has_all_its_own_numbers(text: str) -> None:
    assert lost_numbers(text, text) == []
