"""What is said several times is read once, and its translation says it as often, pieces and links in their places."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translator.alignment import AlignedWords
from translator.echoes import Abridged, Echo, Written, _echoes, _may_repeat, abridge, say_again
from translator.tokenizer import Tokenizer
from translator.translation import TokenScore

TEXTS = st.lists(st.sampled_from(["Nein", "nein", "so", "ich", "a", ",", "!", "'s", "-", "\u0303"]), max_size=9)


def written(text: str, *links: tuple[tuple[int, int], str]) -> Written:
    """A translation whose pieces are its words with the spaces before; a link leads to a word that stands once."""
    tokens = [TokenScore(match[0], *match.span(), -0.5) for match in re.finditer(r" ?[^ ]+", text)]
    tokens.append(TokenScore("", len(text), len(text), -0.1))
    aligned = [AlignedWords(*span, text.index(word), text.index(word) + len(word), 1.0) for span, word in links]
    return Written(text, tuple(tokens), tuple(aligned))


def check_pieces(found: Written) -> None:
    """Every letter lies in one piece, and pieces are in order."""
    assert all(found.text[token.start : token.end] == token.text for token in found.tokens)
    inside = [place for token in found.tokens for place in range(token.start, token.end)]
    assert inside == sorted(set(inside))
    assert {place for place, each in enumerate(found.text) if each.isalnum()} <= set(inside)


@pytest.mark.parametrize(
    ("text", "once"),
    [
        ("No, no, no!", "No!"),
        ("¡Gracias, gracias!", "¡Gracias!"),
        ("salad salad salad", "salad"),
        ("Ha ha ha, that is funny.", "Ha, that is funny."),
        ("Yes yes yes, I know, I know.", "Yes, I know."),
        ("Wait, wait, I am coming!", "Wait, I am coming!"),
        ("¡Ven, ven, siéntate!", "¡Ven, siéntate!"),
        ("Oui, oui !", "Oui !"),
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
        pytest.param("No, no es verdad.", id="an answer, and the clause begins alike"),
        pytest.param("Right, right now I am busy.", id="likewise in English"),
        pytest.param("Whatever will be, will be.", id="a clause, and the next"),
        pytest.param("So so.", id="a set phrase"),
        pytest.param("Bye bye, bye bye!", id="in two ways at once"),
        pytest.param("bye, bye, bye bye bye", id="in one way and then another"),
        pytest.param("Stop, STOP!", id="louder"),
        pytest.param("q\u0303no, no, no!", id="a mark belongs to the word"),
        pytest.param("ab, ab\u0303!", id="a mark makes another word"),
        pytest.param("I I see.", id="a letter"),
        pytest.param("10, 10, 10", id="numbers"),
        pytest.param("no, not", id="the beginning of a word"),
        pytest.param("Again and again.", id="with a word between"),
        pytest.param("Why? Why? Why?", id="sentences"),
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


WORDS = st.sampled_from(
    ["no", "No", "bien", "ya", "lo", "s\u00e9", "it's", "x-y-z", "a1", "1", "\u0130a", "\u0391\u03a3"]
)


@given(st.lists(WORDS, max_size=6), st.lists(WORDS, min_size=1, max_size=4), st.sampled_from([" ", ", "]))
def test_no_echo_is_passed_over(before: list[str], said: list[str], joint: str) -> None:
    text = joint.join([*before, " ".join(said), " ".join(said)])
    assert bool(list(_echoes(text))) <= _may_repeat(text)


def test_a_span_before_a_copy_ends_before_it() -> None:
    once = abridge("Wait, wait, help me.")
    assert once.in_full([(0, 4), (4, 10), (0, 0)]) == [(0, 4), (10, 16), (0, 0)]


def test_the_linked_words_are_said_again_with_their_pieces_and_links(tokenizer: Tokenizer) -> None:
    source = "Hello, hello, who is there?"
    echoes = abridge(source).echoes
    again, lost = say_again(
        written("Bonjour , qui ?", ((0, 5), "Bonjour"), ((14, 17), "qui")), echoes, tokenizer=tokenizer, target="fr"
    )
    assert not lost
    assert again.text == "Bonjour, bonjour , qui ?"
    assert [token.text for token in again.tokens] == ["Bonjour", "bonjour", " ,", " qui", " ?", ""]
    check_pieces(again)
    links = {
        (source[link.source_start : link.source_end], again.text[link.target_start : link.target_end])
        for link in again.links
    }
    assert links == {("Hello", "Bonjour"), ("hello", "bonjour"), ("who", "qui")}


def test_what_says_nothing_else_is_said_again_as_a_whole(tokenizer: Tokenizer) -> None:
    again, lost = say_again(
        written("Vielen Dank!"), abridge("Thanks, thanks, thanks!").echoes, tokenizer=tokenizer, target="fr"
    )
    assert (again.text, lost) == ("Vielen Dank, vielen Dank, vielen Dank!", ())


def test_a_capital_stays_where_the_copies_have_one(tokenizer: Tokenizer) -> None:
    again, _ = say_again(written("Tom!"), abridge("Tom, Tom!").echoes, tokenizer=tokenizer, target="fr")
    assert again.text == "Tom, Tom!"


def test_the_english_i_stays(tokenizer: Tokenizer) -> None:
    again, _ = say_again(written("I know!"), abridge("Je sais, je sais !").echoes, tokenizer=tokenizer, target="en")
    assert again.text == "I know, I know!"
    again, _ = say_again(written("Je sais !"), abridge("I know, I know!").echoes, tokenizer=tokenizer, target="fr")
    assert again.text == "Je sais, je sais !"


def test_a_shouted_one_stays(tokenizer: Tokenizer) -> None:
    again, _ = say_again(written("NON !"), abridge("No, no!").echoes, tokenizer=tokenizer, target="fr", shouted=True)
    assert again.text == "NON, NON !"


def test_words_that_rest_on_nothing_go_with_their_neighbours(tokenizer: Tokenizer) -> None:
    links = ((0, 6), "S'il"), ((0, 6), "plaît"), ((16, 20), "aide")
    again, _ = say_again(
        written("S'il te plaît , aide", *links),
        abridge("Please, please, help me.").echoes,
        tokenizer=tokenizer,
        target="fr",
    )
    assert again.text == "S'il te plaît, s'il te plaît , aide"


@pytest.mark.parametrize("links", [(), (((14, 16), "fais"),)])
def test_what_is_not_found_is_told_of(links: tuple[tuple[tuple[int, int], str], ...], tokenizer: Tokenizer) -> None:
    echoes = abridge("Never, never, do that!").echoes
    before = written("Ne fais pas", *links)
    assert say_again(before, echoes, tokenizer=tokenizer, target="fr") == (before, echoes)


def test_two_echoes_do_not_get_in_each_other_s_way(tokenizer: Tokenizer) -> None:
    source = "Yes yes yes, I know, I know."
    first = written("Oui , je sais", ((0, 3), "Oui"), ((13, 14), "je"), ((15, 19), "sais"))
    again, lost = say_again(first, abridge(source).echoes, tokenizer=tokenizer, target="fr")
    assert (again.text, lost) == ("Oui oui oui , je sais, je sais", ())
    check_pieces(again)


def test_an_empty_translation_stays_empty(tokenizer: Tokenizer) -> None:
    echoes = (Echo(0, 2, ((4, 6),), ", ", whole=True, began=True),)
    assert say_again(written(""), echoes, tokenizer=tokenizer, target="fr") == (written(""), echoes)
