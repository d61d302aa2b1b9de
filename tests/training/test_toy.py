"""The toy's text: numbers spelled right, and none in two of its parts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpus import read_pairs
from training.toy import HELD_OUT, LIMIT, in_words, make_pairs, write_toy

VALUES = {
    **{word: number for number, word in enumerate(map(in_words, range(20)))},
    **{in_words(tens): tens for tens in range(20, 100, 10)},
}


def number_of(words: str) -> int:
    """Reads a number the way it is heard, word by word."""
    total = below_thousand = 0
    for word in words.replace("-", " ").split():
        if word == "hundred":
            below_thousand *= 100
        elif word == "thousand":
            total, below_thousand = below_thousand * 1000, 0
        elif word != "and":
            below_thousand += VALUES[word]
    return total + below_thousand


@given(st.integers(0, LIMIT - 1))
def test_a_spelled_number_is_heard_as_itself(number: int) -> None:
    assert number_of(in_words(number)) == number


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "nought"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety-nine"),
        (100, "one hundred"),
        (407, "four hundred and seven"),
        (1150, "one thousand one hundred and fifty"),
        (1900, "one thousand nine hundred"),
        (4072, "four thousand and seventy-two"),
        (9999, "nine thousand nine hundred and ninety-nine"),
    ],
)
def test_numbers_are_spelled_as_a_briton_would(number: int, words: str) -> None:
    assert in_words(number) == words


def test_every_number_is_in_one_part_only() -> None:
    pairs = make_pairs()
    numbers = {name: {source.split()[1] for source, _ in part} for name, part in pairs.items()}
    assert {name: len(numbers[name]) for name in HELD_OUT} == HELD_OUT
    assert sum(map(len, numbers.values())) == len(set().union(*numbers.values())) == LIMIT


def test_the_text_is_always_the_same_and_aligned(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_toy(tmp_path / name)
    for part, pairs in make_pairs().items():
        files = [tmp_path / "one" / f"{part}.{side}" for side in ("digits", "words")]
        assert list(read_pairs(*files)) == pairs
        assert [(tmp_path / "other" / file.name).read_bytes() for file in files] == [f.read_bytes() for f in files]
