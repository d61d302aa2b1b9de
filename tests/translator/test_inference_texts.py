"""Any text at all: its shape comes back, its offsets hold, and what is strange about it does no harm."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translator.config import DecodingOptions
from translator.inference import Translation, Translator
from translator.segmentation import segments

QUICK = DecodingOptions(beam_size=1, max_length_ratio=0.0, max_length_margin=3)
LONG_LINES = [
    "the small dog sleeps here. Why? Quickly, Xaver and Yvonne jump over it!",
    "",
    "\tthe old cat waits in the house; the big horse eats by the sea. And 1234",
    "   ",
    "99 - 100",
    " Yvonne jumps.  Two spaces. ",
]


def one(translator: Translator, text: str, options: DecodingOptions | None = QUICK) -> Translation:
    (translation,) = translator.translate([text], source="en", target="de", options=options)
    return translation


def check_offsets(translation: Translation) -> None:
    """Words of both texts, no white space in or around them; tokens where they say they are."""
    for link in translation.alignment:
        for text, start, end in (
            (translation.source_text, link.source_start, link.source_end),
            (translation.text, link.target_start, link.target_end),
        ):
            assert 0 <= start < end <= len(text)
            assert not re.search(r"\s", text[start:end])
    for token in translation.tokens:
        assert translation.text[token.start : token.end] == token.text
    starts = [token.start for token in translation.tokens]
    assert starts == sorted(starts)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\t \u2003\r\n", "\u2028"])
def test_empty_text_and_white_space_come_back_as_they_came(translator: Translator, text: str) -> None:
    translation = one(translator, text)
    assert translation == Translation(text, "en", "de", text)
    assert (translation.score, translation.tokens, translation.warnings) == (0.0, (), ())


def test_paragraphs_blank_lines_and_white_space_stay(translator: Translator) -> None:
    text = "  the small dog sleeps here.\n\n\tA cat waits in the old house!\n"
    translation = one(translator, text, None)
    assert re.fullmatch(r"  \S(.*\S)?\n\n\t\S(.*\S)?\n", translation.text)
    assert translation.source_text == text
    assert translation.score < 0
    assert translation.alignment
    check_offsets(translation)


def test_a_text_of_100_000_characters_is_translated_whole(translator: Translator) -> None:
    lines = [f"{line} {number % 7}" if line.strip() else line for number, line in enumerate(LONG_LINES * 550)]
    text = "\n".join(lines)
    assert len(text) > 100_000
    translation = one(translator, text)
    translated = translation.text.split("\n")
    assert [bool(line.strip()) for line in translated] == [bool(line.strip()) for line in lines]
    for before, after in zip(lines, translated, strict=True):
        if not any(map(str.isalpha, before)):
            assert before == after
        assert before[: len(before) - len(before.lstrip())] == after[: len(after) - len(after.lstrip())]
    check_offsets(translation)
    assert {link.source_end // 10_000 for link in translation.alignment} >= set(range(10))


def test_a_line_of_100_000_letters_without_a_space_is_translated_whole(translator: Translator) -> None:
    text = "abcde" * 20_000
    pieces = len(segments(text, "en"))
    assert pieces == 100
    translation = one(translator, text)
    assert translation.tokens
    assert len(translation.tokens) % pieces == 0  # all are alike, and none is left out
    check_offsets(translation)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\U0001f642 \U0001f468\u200d\U0001f469\u200d\U0001f467", id="emoji"),
        pytest.param("12 + 30 = 42", id="numbers"),
        pytest.param("\x00\x07\x1b", id="control characters"),
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param("\ud83d\n\udc00 ...", id="surrogates that do not meet"),
        pytest.param("\u00ad\u200b\ufeff", id="nothing to see"),
    ],
)
def test_what_has_no_letter_is_copied(translator: Translator, text: str) -> None:
    assert one(translator, text) == Translation(text, "en", "de", text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("the dog \U0001f642 sleeps", id="emoji"),
        pytest.param("the\x00 d\x07og\x1b[0m sleeps", id="control characters"),
        pytest.param("the \ud800dog\udfff sleeps", id="lone surrogates"),
        pytest.param("\u202ethe dog\u202c sleeps", id="bidi marks"),
        pytest.param("<2de> <s> the </s> <pad>", id="control symbols typed by a user"),
        pytest.param("e\u0301" * 300, id="combining marks"),
        pytest.param("\u4f60\u597d\uff0c\u4e16\u754c\u3002", id="another script"),
    ],
)
def test_strange_characters_in_a_sentence_do_no_harm(translator: Translator, text: str) -> None:
    translation = one(translator, text, None)
    check_offsets(translation)
    assert translation.source_text == text
    assert not re.search("[\ud800-\udfff]", translation.text)


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_any_text_is_translated(translator: Translator, text: str) -> None:
    translation = one(translator, text)
    check_offsets(translation)
    assert translation.text.count("\n") == text.count("\n")
    assert bool(translation.text.strip()) >= bool(re.search(r"[^\W\d_]", text))


def test_unknown_characters_are_copied_or_missed_aloud(translator: Translator) -> None:
    translation = one(translator, "the \u4f60\u597d dog")
    missed = "'\u4f60\u597d' was to be copied and is missing from the translation."
    assert ("\u4f60\u597d" in translation.text) != (missed in translation.warnings)
