"""What is the same in every language: found whole, nothing else taken for it, every character led back to its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.verbatim import _HINT, _VERBATIM, MASK, mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to anna.berg@example.org.", "Write to #."),
        ("Look (https://a.example/x?y=1&z=2), please!", "Look (#), please!"),
        ("www.example.com is down.", "# is down."),
        ("Is example.org/map, or report-2024.pdf, here?", "Is #, or #, here?"),
        ("Folge @maria_lopez!", "Folge #!"),
        ("Save it under C:/photos/summer.", "Save it under #."),
        ("Ruf 030 1234567 an, oder +49 30 123456.", "Ruf # an, oder #."),
        ("Order 123456789 is late.", "Order # is late."),
    ],
)
def test_what_is_copied_is_found_whole(text: str, masked: str) -> None:
    assert mask(text).text == masked.replace("#", MASK)


@pytest.mark.parametrize(
    "text",
    [
        "Das ist z.B. gut, usw.",
        "He left.Then she came.",
        "It costs 3.50, not 1,000.",
        "The bus leaves at 7:35 on 5-6 days.",
        "In 2019 and 2020 we met 12 times.",
        "Dr. Berg und/oder Frau Maier",
        "and so on...and on",
    ],
)
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert mask(text).text == text


@given(st.text(st.sampled_from("ab1.@:/ w") | st.characters(), max_size=60))
def test_every_character_is_led_back_to_its_place(text: str) -> None:
    masked = mask(text)
    spans = [(place, place + 1) for place in range(len(masked.text))]
    originals = [text[start:end] for start, end in masked.unmasked(spans)]
    assert "".join(originals) == text
    for character, original in zip(masked.text, originals, strict=True):
        assert character in (original, MASK)


LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzöé")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("Ask Łukasz now", f"Ask {MASK} now", id="a letter that nothing spells"),
        pytest.param("Über Öl", f"{MASK} Öl", id="a capital is known if its small letter is"),
        pytest.param("O'Łoo-Ba's", MASK, id="joined by marks"),
        pytest.param("a@b.com Łódź", f"{MASK} {MASK}", id="beside an address"),
        pytest.param("Ł@b.com", MASK, id="within an address"),
        pytest.param("5 € = café", "5 € = café", id="what is no letter is not its business"),
    ],
)
def test_a_word_with_a_strange_letter_is_copied_whole(text: str, masked: str) -> None:
    assert mask(text, LETTERS).text == masked
    assert mask(text).text in (text, text.replace("a@b.com", MASK), MASK), "unless all letters are known"


@given(
    st.lists(st.sampled_from(["www.", "://", "a", "B:", "\\", ".com", "@x", "1 23", "456", "+", " ", ".", "é", "/"]))
)
def test_what_is_to_be_copied_has_a_mark_that_tells_of_it(parts: list[str]) -> None:
    text = "".join(parts)
    assert bool(_VERBATIM.search(text)) <= bool(_HINT.search(text))
