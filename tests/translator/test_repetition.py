"""Repetition is counted, and told from a loop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.repetition import LOOP_TIMES, has_loop, most_repeats


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("", 0),
        ("Salat", 1),
        ("1 000 000 000 Euro", 1),
        ("Salat Tomate Salat", 1),
        ("Nein, nein, nein!", 3),
        ("so gut, so gut", 2),
        ("der Mann und der Mann und der Mann und das Haus", 3),
        ("eins zwei drei vier eins zwei drei vier", 2),
        ("er lief und lief und lief", 2),
    ],
)
def test_repeats_are_counted_for_stretches_of_words(text: str, times: int) -> None:
    assert most_repeats(text) == times


def test_a_loop_repeats_more_than_its_source() -> None:
    assert has_loop("Salat Salat Salat Salat", "salad salad salad")
    assert not has_loop("Salat Salat Salat", "salad salad salad")
    assert not has_loop("sehr sehr kalt", "very cold")


@given(
    st.lists(
        st.sampled_from(["no", "No,", "so", "it's", "a1", "1", "e\u0301", "\u6f22", "_", "x-y", "\u0391\u03a3"]),
        max_size=16,
    ),
    st.data(),
)
def test_a_loop_is_what_is_repeated_three_times(words: list[str], data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([" ", "", "-", "."])).join(words)
    assert has_loop(text, "") == (most_repeats(text) >= LOOP_TIMES)
