"""Normalisation against the definition of NFC, and words against what they must cover."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from translator.text import _STEPS, _UNTIDY, _continues, normalise, plain_quotes, words

# Everything with a rule of its own, often enough to meet: spaces, joiners, marks, jamo, surrogates, controls.
AWKWARD = st.text(
    st.one_of(
        st.characters(codec=None),
        st.sampled_from(
            "a e\n\r\t\v\x00\x1f\x85\xa0\xad\u0300\u0301\u0323\u0338\u0344\u034f\u094d\u0958"
            "\u1100\u1161\u11a8\u200b\u200c\u200d\u200e\u2028\u202e\u2060\u2329\u2581\u2adc\u3000\ud800\udc00"
            "\ufb2c\ufe0f\ufeff\u2642\U0001f468\U0001f3fd\U000e0067"
        ),
    ),
    max_size=30,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "", id="empty"),
        pytest.param(" \n\t ", "", id="white space alone"),
        pytest.param("one two", "one two", id="already normal"),
        pytest.param("  one\t\n two\u2028", "one two", id="runs of white space"),
        pytest.param("10\u202f%\u00a0!", "10 % !", id="no-break spaces"),
        pytest.param("Ca\u00adfe\u0301", "Caf\u00e9", id="soft hyphen and decomposed accent"),
        pytest.param("a \u200b b", "a b", id="zero-width space between spaces"),
        pytest.param("\ufeff\u202ea\u0000b\u2069", "ab", id="bidi marks, byte order mark and control"),
        pytest.param("a\ud83d\ude00", "a", id="surrogates, even in pairs"),
        pytest.param("\u2581a", "_a", id="the space mark of SentencePiece"),
        pytest.param("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680", id="joiner inside an emoji"),
        pytest.param("\U0001f469\u200d a\u200db", "\U0001f469 ab", id="joiner elsewhere"),
        pytest.param("\ufb01\uff21\u00b2", "\ufb01\uff21\u00b2", id="compatibility forms stay"),
        pytest.param("\u1112\u1161\u11ab\u1100\u1173\u11af", "\ud55c\uae00", id="Hangul from jamo"),
        pytest.param("<2de> </s>", "<2de> </s>", id="markup is text"),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text).text == expected


@given(AWKWARD)
@example("\U0001f468\u200d\u200d\U0001f468")
@example("\u2581\u200d\u2581")
def test_a_normal_form_is_its_own_normal_form(text: str) -> None:
    once = normalise(text).text
    assert normalise(once) == (once, tuple(range(len(once) + 1)))


@given(AWKWARD)
def test_a_normal_form_is_nfc_with_single_inner_spaces(text: str) -> None:
    result = normalise(text).text
    assert unicodedata.is_normalized("NFC", result)
    assert result == " ".join(result.split())
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in result)


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S"], exclude_characters="\u2581\u034f")))
def test_visible_text_is_composed_as_the_standard_says(text: str) -> None:
    assert normalise(text).text == unicodedata.normalize("NFC", text)


@given(AWKWARD)
def test_origins_ascend_within_the_original(text: str) -> None:
    result, origins = normalise(text)
    assert len(origins) == len(result) + 1
    assert list(origins) == sorted(origins)
    assert all(0 <= origin <= len(text) for origin in origins)


@given(st.lists(st.tuples(st.sampled_from("ab\u00e9."), st.text("\u00ad\u200b\u200d\x00\ud800", max_size=3))))
def test_origins_skip_what_was_dropped(parts: list[tuple[str, str]]) -> None:
    original = "\ufeff \n" + "".join(visible + dropped for visible, dropped in parts)
    positions = [3 + sum(1 + len(dropped) for _, dropped in parts[:number]) for number in range(len(parts))]
    text, origins = normalise(original)
    assert text == "".join(visible for visible, _ in parts)
    assert list(origins[:-1]) == positions


def test_origins_cut_the_original_where_the_words_were() -> None:
    original = "\ufeff  Ru\u00adhe,\u00a0 cafe\u0301\u200b \U0001f469\u200d\U0001f680\tende \n"
    text, origins = normalise(original)
    found = [original[origins[start] : origins[end]] for start, end in words(text)]
    assert found == ["Ru\u00adhe", ",", "cafe\u0301\u200b", "\U0001f469\u200d", "\U0001f680", "ende"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Hello, world!", "Hello|,|world|!", id="punctuation stands alone"),
        pytest.param("don't l\u2019eau", "don't|l\u2019eau", id="apostrophe inside a word"),
        pytest.param("'tis dogs' 'x'", "'|tis|dogs|'|'|x|'", id="apostrophe at an end"),
        pytest.param("a well-known U-Bahn - x", "a|well-known|U-Bahn|-|x", id="hyphen inside a word"),
        pytest.param("3.50, 1,000 12:30.", "3.50|,|1,000|12:30|.", id="points inside a number"),
        pytest.param("...", ".|.|.", id="each mark by itself"),
        pytest.param("z.B. a.b", "z|.|B|.|a|.|b", id="points between letters part"),
        pytest.param("q\u0323\u0301a b", "q\u0323\u0301a|b", id="combining marks stay on their letter"),
        pytest.param("\u0938\u094d\u0924\u0947", "\u0938\u094d\u0924\u0947", id="Devanagari vowels"),
        pytest.param("\u4f60\u597dOK", "\u4f60|\u597d|OK", id="each Han character"),
        pytest.param("\u2764\ufe0fx", "\u2764\ufe0f|x", id="variation selector on a symbol"),
        pytest.param(" \n", "", id="white space alone"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert "|".join(text[start:end] for start, end in words(text)) == expected


@given(AWKWARD)
def test_words_cover_all_but_white_space_once(text: str) -> None:
    covered = [position for start, end in words(text) for position in range(start, end)]
    assert covered == [position for position, character in enumerate(text) if not character.isspace()]
    assert all(start < end for start, end in words(text))


def words_one_by_one(text: str) -> list[tuple[int, int]]:
    """The rule without its short cut: each character either belongs to the word before it or begins another."""
    spans: list[tuple[int, int]] = []
    for position, character in enumerate(text):
        if spans and spans[-1][1] == position and _continues(text, spans[-1][0], position) and not character.isspace():
            spans[-1] = (spans[-1][0], position + 1)
        elif not character.isspace():
            spans.append((position, position + 1))
    return spans


@given(
    st.one_of(
        AWKWARD,
        st.text("aéŐ12_'\u2019-.,:\u00bf\u20ac \t"),
        st.text("aéß1٣_'\u2019-.,: \u0301\u200d\u3042漢字가अक\u093eⅧ²"),
    )
)
def test_letters_are_read_in_runs_and_nothing_else_changes(text: str) -> None:
    assert words(text) == words_one_by_one(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\u201cCome here,\u201d she said.", '"Come here," she said.'),
        ("\u2018Come\u2019", "'Come\u2019"),
        ("\u201eKomm her\u201c, sagte sie.", "\u201eKomm her\u201c, sagte sie."),
        ("\u00ab Viens \u00bb", "\u00ab Viens \u00bb"),
    ],
)
def test_quotes_of_a_word_processor_are_read_as_those_of_a_typewriter(text: str, plain: str) -> None:
    assert plain_quotes(text) == plain


@given(AWKWARD)
def test_what_no_step_has_anything_to_do_with_is_told_from_the_rest(text: str) -> None:
    assert any(pattern.search(text) for pattern, _ in _STEPS) <= bool(_UNTIDY.search(text))
