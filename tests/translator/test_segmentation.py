"""Segments cover the text exactly; sentences keep their promises on any input, in linear time."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from translator.errors import ConfigError
from translator.segmentation import join_lines, segments

AWKWARD = st.text(
    st.one_of(
        st.characters(codec=None),
        st.sampled_from("aAbB.!? \n\r\t\x85\u2028\u00a0\"'()\u3002,;1\ud800\u0301\u200d"),
    ),
    max_size=80,
)
LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def sentences(text: str, language: str = "en", max_characters: int = 1000) -> list[str]:
    found = segments(text, language, max_characters=max_characters)
    return [text[start:end] for start, end, kind in found if kind == "sentence"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [], id="empty"),
        pytest.param(" \n\n ", [], id="white space alone"),
        pytest.param("Hi", ["Hi"], id="no punctuation"),
        pytest.param("  Hi there.  How are you? ", ["Hi there.", "How are you?"], id="white space around"),
        pytest.param("I met Dr. Smith. He left.", ["I met Dr. Smith.", "He left."], id="abbreviation"),
        pytest.param("a\nb\r\n\r\nc\u2028d", ["a", "b", "c", "d"], id="every line by itself"),
        pytest.param("Name\tAge\nTom\t42", ["Name", "Age", "Tom"], id="cells of a table"),
        pytest.param("42\n\U0001f600 \U0001f600\n---\nYes", ["Yes"], id="lines without letters are verbatim"),
        pytest.param(
            "\u4f60\u597d\u3002\u518d\u89c1\u3002", ["\u4f60\u597d\u3002", "\u518d\u89c1\u3002"], id="Chinese"
        ),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize("language", ["de", "de-DE", "DE", "xx", "", "pt_BR", "d\ud800", "\u0434\u0435"])
def test_any_language_code_will_do(language: str) -> None:
    assert sentences("Das ist gut. Ja!", language) == ["Das ist gut.", "Ja!"]


@given(AWKWARD, st.sampled_from(["en", "de", "el", "hi", "xx"]), st.integers(1, 40))
@example("A\u00a0.", "de", 40)  # sentencex 1.0.32 panics on an initial before a wide space
@example("\ud800. B", "en", 40)
def test_segments_cover_the_text_and_sentences_are_bounded(text: str, language: str, limit: int) -> None:
    found = segments(text, language, max_characters=limit)
    assert "".join(text[start:end] for start, end, _ in found) == text
    assert all(start < end for start, end, _ in found)
    assert [start for start, _, _ in found[1:]] == [end for _, end, _ in found[:-1]]
    for sentence in (text[start:end] for start, end, kind in found if kind == "sentence"):
        assert sentence == sentence.strip()
        assert len(sentence) <= limit
        assert not set(sentence) & set(LINE_ENDS)
        assert any(character.isalpha() for character in sentence)


@given(AWKWARD, st.integers(1, 40))
def test_no_letter_is_verbatim(text: str, limit: int) -> None:
    found = segments(text, "en", max_characters=limit)
    verbatim = "".join(text[start:end] for start, end, kind in found if kind == "verbatim")
    assert not any(character.isalpha() for character in verbatim)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("aaaa bbbb, cccc dddd", ["aaaa bbbb,", "cccc dddd"], id="after clause punctuation"),
        pytest.param("a, bbbbbbb cccc dddd", ["a, bbbbbbb", "cccc dddd"], id="not where a stub would stay"),
        pytest.param("aaaa bbbb cccc dddd", ["aaaa bbbb", "cccc dddd"], id="at white space"),
        pytest.param("aaaaaaaaaaaa bbb", ["aaaaaaaaaaaa", "bbb"], id="white space right behind the limit"),
        pytest.param("abcdefghijklmnopqrst", ["abcdefghijkl", "mnopqrst"], id="hard"),
        pytest.param("abcdefghijke\u0301xyz", ["abcdefghijk", "e\u0301xyz"], id="hard, but before no mark"),
        pytest.param("a,b,c,d,e,f,g,h", ["a,b,c,d,e,f,", "g,h"], id="a comma without a space ends no clause"),
    ],
)
def test_a_long_sentence_is_cut(text: str, expected: list[str]) -> None:
    assert sentences(text, max_characters=12) == expected


def test_the_window_hides_no_boundary() -> None:
    text = " ".join(f"This is sentence {'very ' * (number % 7)}number {number}." for number in range(400))
    one_by_one = [f"This is sentence {'very ' * (number % 7)}number {number}." for number in range(400)]
    assert sentences(text, max_characters=60) == one_by_one


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_characters is 0, but must be at least 1"):
        segments("a", "en", max_characters=0)


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param("hello world ", id="words"),
        pytest.param("a", id="one word"),
        pytest.param("\n", id="line feeds"),
        pytest.param(".", id="points"),
        pytest.param("Hello there. ", id="sentences"),
        pytest.param("\u00bb\"(\uff01'\u3002a", id="quotes, on which sentencex is quadratic"),
        pytest.param("e\u0301", id="combining marks"),
    ],
)
def test_a_hundred_thousand_characters_are_cut_in_seconds(unit: str) -> None:
    text = (unit * 100_000)[:100_000]
    start = time.process_time()
    assert segments(text, "en")[-1].end == len(text)
    assert time.process_time() - start < 5  # about 0.2 at most; a quadratic algorithm takes minutes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Where is\nthe station?", "Where is the station?", id="wrapped"),
        pytest.param("one \r\ntwo", "one   two", id="spaces before the end, and two characters of it"),
        pytest.param("one\n\ntwo\n \nthree\n", "one\n\ntwo\n \nthree\n", id="paragraphs"),
        pytest.param("one\n  two", "one\n  two", id="indented"),
        pytest.param("To buy:\n- milk\n* eggs\n2. bread", "To buy:\n- milk\n* eggs\n2. bread", id="lists"),
        pytest.param("- milk and\nhoney", "- milk and honey", id="an item that was wrapped"),
        pytest.param("It is\n-5 degrees or\n2.5 more", "It is -5 degrees or 2.5 more", id="numbers are no lists"),
        pytest.param("> no\nWhy?\n# Next\nText\nmore", "> no\nWhy?\n# Next\nText more", id="behind marks"),
        pytest.param("She said\n> no\n# Next\n| a |", "She said\n> no\n# Next\n| a |", id="marks"),
    ],
)
def test_wrapped_lines_are_joined(text: str, expected: str) -> None:
    assert join_lines(text) == expected


@given(AWKWARD)
def test_joining_lines_moves_no_character(text: str) -> None:
    joined = join_lines(text)
    assert len(joined) == len(text)
    assert all(one == other or (one in "\r\n\t " and other == " ") for one, other in zip(text, joined, strict=True))
    assert join_lines(joined) == joined


def test_joining_lines_is_quick_on_any_white_space() -> None:
    started = time.process_time()
    join_lines("a" + " " * 200_000 + "b" + " \r" * 100_000 + "\t" * 100_000)
    assert time.process_time() - started < 2
