"""What is said several times is read once, and its translation says it as often, pieces and links in their places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.alignment import AlignedWords
from translator.echoes import Abridged, Echo, Written, abridge, say_again
from translator.translation import TokenScore

TEXTS = st.lists(
    st.sampled_from(["Nein", "nein", "so", "ich", "a", ",", "!", "'s", "-", "\u0130", "i\u0307"]), max_size=9
)


def written(text: str, *links: tuple[tuple[int, int], str]) -> Written:
    """A translation whose pieces are its words; a link leads from a source span to a word that stands once."""
    tokens, start = list[TokenScore](), 0
    for word in text.split(" "):
        tokens.append(TokenScore(word, start, start + len(word), -0.5))
        start += len(word) + 1
    tokens.append(TokenScore("", len(text), len(text), -0.1))
    aligned = [AlignedWords(*span, text.index(word), text.index(word) + len(word), 1.0) for span, word in links]
    return Written(text, tuple(tokens), tuple(aligned))


def small(word: str) -> str:
    return word[:1].lower() + word[1:]


@pytest.mark.parametrize(
    ("text", "once"),
    [
        ("No, no, no!", "No!"),
        ("¡Gracias, gracias!", "¡Gracias!"),
        ("salad salad salad", "salad"),
        ("Ha ha ha, that is funny.", "Ha, that is funny."),
        ("Yes yes, I know, I know.", "Yes, I know."),
        ("Please, please help me.", "Please help me."),
        ("Bye-bye, bye-bye!", "Bye-bye!"),
        ("I don't know, I don't know.", "I don't know."),
        ("It is very, very, very cold.", "It is very cold."),
    ],
)
def test_what_is_said_again_is_left_out(text: str, once: str) -> None:
    assert abridge(text).text == once


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Der, der das sagt, lügt.", id="a relative clause"),
        pytest.param("He sees dogs, dogs see him.", id="two clauses"),
        pytest.param("Nous nous voyons demain.", id="grammar"),
        pytest.param("It is very, very cold.", id="inside, twice: the model knows it"),
        pytest.param("I I see.", id="a letter"),
        pytest.param("10, 10, 10", id="numbers"),
        pytest.param("no, not", id="the beginning of a word"),
        pytest.param("Again and again.", id="with a word between"),
        pytest.param("Why? Why? Why?", id="sentences"),
        pytest.param("\u0130\u0130, i\u0307i\u0307", id="other case, other length"),
    ],
)
def test_what_may_mean_something_else_stays(text: str) -> None:
    assert abridge(text) == Abridged(text, tuple(range(len(text) + 1)), ())


@given(TEXTS, st.sampled_from([" ", "", ", "]))
def test_offsets_lead_back_to_the_same_characters(parts: list[str], joint: str) -> None:
    text = joint.join(parts)
    once = abridge(text)
    assert len(once.offsets) == len(once.text) + 1
    assert "".join(text[offset] for offset in once.offsets[:-1]) == once.text
    for echo in once.echoes:
        said = text[echo.start : echo.end].lower()
        assert all(text[start:end].lower() == said for start, end in echo.copies)
        assert text[echo.end : echo.copies[0][0]] == echo.joint


def test_a_span_before_a_copy_ends_before_it() -> None:
    once = abridge("Please, please help me.")
    assert once.in_full([(0, 6), (6, 11), (0, 0)]) == [(0, 6), (14, 19), (0, 0)]


def test_the_linked_words_are_said_again_with_their_pieces_and_links() -> None:
    source = "Hello, hello, who is there?"
    echoes = abridge(source).echoes
    again, lost = say_again(written("Bonjour , qui ?", ((0, 5), "Bonjour"), ((14, 17), "qui")), echoes, small=small)
    assert not lost
    assert again.text == "Bonjour, bonjour , qui ?"
    assert [token.text for token in again.tokens] == ["Bonjour", "bonjour", ",", "qui", "?", ""]
    assert all(again.text[token.start : token.end] == token.text for token in again.tokens)
    links = {
        (source[link.source_start : link.source_end], again.text[link.target_start : link.target_end])
        for link in again.links
    }
    assert links == {("Hello", "Bonjour"), ("hello", "bonjour"), ("who", "qui")}


def test_what_says_nothing_else_is_said_again_as_a_whole() -> None:
    again, lost = say_again(written("Vielen Dank!"), abridge("Thanks, thanks, thanks!").echoes, small=small)
    assert (again.text, lost) == ("Vielen Dank, vielen Dank, vielen Dank!", ())


def test_a_capital_stays_where_the_copies_have_one() -> None:
    again, _ = say_again(written("Tom!"), abridge("Tom, Tom!").echoes, small=small)
    assert again.text == "Tom, Tom!"


def test_words_that_rest_on_nothing_go_with_their_neighbours() -> None:
    links = ((0, 6), "S'il"), ((0, 6), "plaît"), ((15, 19), "aide")
    again, _ = say_again(
        written("S'il te plaît , aide", *links), abridge("Please, please help me.").echoes, small=small
    )
    assert again.text == "S'il te plaît, s'il te plaît , aide"


@pytest.mark.parametrize("links", [(), (((7, 11), "fais"),)])
def test_what_is_not_found_is_told_of(links: tuple[tuple[tuple[int, int], str], ...]) -> None:
    echoes = abridge("Never, never do that!").echoes
    before = written("Ne fais pas", *links)
    assert say_again(before, echoes, small=small) == (before, echoes)


def test_two_echoes_do_not_get_in_each_other_s_way() -> None:
    source = "Yes yes, I know, I know."
    first = written("Oui , je sais", ((0, 3), "Oui"), ((9, 10), "je"), ((11, 15), "sais"))
    again, lost = say_again(first, abridge(source).echoes, small=small)
    assert (again.text, lost) == ("Oui oui , je sais, je sais", ())
    assert all(again.text[token.start : token.end] == token.text for token in again.tokens)


def test_an_empty_translation_stays_empty() -> None:
    echoes = (Echo(0, 2, ((4, 6),), ", ", whole=True, began=True),)
    assert say_again(written(""), echoes, small=small) == (written(""), echoes)
