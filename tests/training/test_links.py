"""Links of words, and what they tell each piece."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.links import NOWHERE, guide, link_words, parse_links, symmetrise, turned
from translator.alignment import Link, Span, spans_of
from translator.text import words

NONE = (NOWHERE, NOWHERE)
TEXTS = st.text(st.sampled_from("ab'\u2019 -.1\u00e9"), max_size=20)


def pieces_of(text: str, *, length: int) -> list[Span]:
    """Cuts every word into pieces of at most `length` letters; a piece owns the space before it."""
    return [match.span() for match in re.finditer(rf" ?\S{{1,{length}}}", text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("l'amour", ["l'", "amour"], id="an elided article"),
        pytest.param("qu\u2019il", ["qu\u2019", "il"], id="a typographic apostrophe"),
        pytest.param("I don't", ["I", "don", "'t"], id="what English takes off the end"),
        pytest.param("rock'n'roll", ["rock", "'n'roll"], id="the first apostrophe counts"),
        pytest.param("'tis the boys' 'x'", ["'", "tis", "the", "boys", "'", "'", "x", "'"], id="quotes are no joints"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_words_are_cut_where_an_apostrophe_joins_them(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in link_words(text)] == expected


@given(TEXTS)
def test_the_parts_of_words_are_the_words(text: str) -> None:
    assert "".join(text[start:end] for start, end in link_words(text)) == "".join(
        text[start:end] for start, end in words(text)
    )
    assert all(start < end for start, end in link_words(text))


@pytest.mark.parametrize("written", ["0", "0-", "a-b", "0-1-2", "1p2", "0.5-1"])
def test_links_that_are_written_otherwise_are_refused(written: str) -> None:
    with pytest.raises(ValueError):
        parse_links(f"0-0 {written}")


def test_links_are_read_and_turned() -> None:
    assert parse_links(" 0-0 1-2 ") == {(0, 0), (1, 2)}
    assert parse_links("") == set()
    assert turned({(0, 0), (1, 2)}) == {(0, 0), (2, 1)}


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        pytest.param(set(), [NONE] * 4, id="no links"),
        pytest.param({(0, 0)}, [(0, 1), (0, 1), NONE, NONE], id="all pieces of both words"),
        pytest.param({(2, 1)}, [NONE, NONE, (3, 4), (3, 4)], id="another place"),
        pytest.param({(0, 1), (1, 1)}, [NONE, NONE, (0, 2), (0, 2)], id="neighbours are one stretch"),
        pytest.param({(0, 1), (2, 1)}, [NONE] * 4, id="words that stand apart tell nothing"),
        pytest.param({(1, 0), (1, 1)}, [(2, 2)] * 4, id="one word for both"),
    ],
)
def test_every_piece_of_a_linked_word_is_told_its_words_pieces(links: set[Link], expected: list[Span]) -> None:
    source, target = "kalt es Wind", "cold wind"  # pieces: ka lt | es | Wi nd and co ld | wi nd
    source_pieces, target_pieces = pieces_of(source, length=2), pieces_of(target, length=2)
    assert (len(source_pieces), len(target_pieces)) == (5, 4)
    found = guide(links, link_words(source), source_pieces, link_words(target), target_pieces)
    assert [tuple(row) for row in found.tolist()] == expected


@given(st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=5), st.integers(1, 6), st.data())
def test_a_stretch_is_what_shares_a_letter_with_the_word(many: list[str], length: int, data: st.DataObject) -> None:
    text, spans = " ".join(many), spans_of(many)
    word = data.draw(st.integers(0, len(many) - 1))
    pieces = pieces_of(text, length=length)
    first, last = guide({(word, 0)}, spans, pieces, [(0, 1)], [(0, 1)])[0]
    start, end = spans[word]
    sharing = [number for number, (begin, stop) in enumerate(pieces) if begin < end and stop > start]
    assert list(range(first, last + 1)) == sharing


def test_a_piece_of_mere_space_is_told_nothing() -> None:
    # SentencePiece may put the space before the first word into a piece of its own, which has no characters.
    assert guide({(0, 0)}, [(0, 1)], [(0, 0), (0, 1)], [(0, 1)], [(0, 0), (0, 1)]).tolist() == [[-1, -1], [1, 1]]


@pytest.mark.parametrize("link", [(2, 0), (0, 1)])
def test_a_link_to_a_word_that_is_not_there_is_refused(link: Link) -> None:
    with pytest.raises(ValueError, match="reach beyond 2 and 1 words"):
        guide({link}, [(0, 1), (2, 3)], [(0, 1), (1, 3)], [(0, 1)], [(0, 1)])


LINKS = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)))


@given(LINKS, LINKS)
def test_joined_links_lie_between_those_of_both_and_those_of_either(
    one: set[tuple[int, int]], other: set[tuple[int, int]]
) -> None:
    found = symmetrise(one, other)
    assert one & other <= found <= one | other
    assert found == symmetrise(other, one)
    # No link of either is left out while both of its words have none.
    for link in one | other:
        assert {each[0] for each in found} & {link[0]} or {each[1] for each in found} & {link[1]}


def test_a_neighbour_of_what_both_say_is_taken_and_a_stray_is_not() -> None:
    both = {(0, 0), (3, 3)}
    # (1, 0) touches and brings word 1; (0, 3) touches nothing, and both of its words have links.
    assert symmetrise(both | {(1, 0)}, both | {(0, 3)}) == both | {(1, 0)}


def test_neighbours_of_neighbours_follow() -> None:
    assert symmetrise({(0, 0), (1, 1)}, {(0, 0), (2, 2)}) == {(0, 0), (1, 1), (2, 2)}


def test_of_words_without_a_neighbour_both_must_be_free() -> None:
    both = {(0, 0)}
    assert symmetrise(both | {(3, 3)}, both | {(0, 4)}) == both | {(3, 3)}
