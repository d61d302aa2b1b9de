"""Word alignment: read off attention whose answer is plain, and sound for any attention."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translator.alignment import (
    SECOND_LINK,
    AlignedWords,
    Shares,
    Side,
    align_words,
    choose_links,
    spans_of,
    word_shares,
)

# "<2de> das Haus steht ." from "the house stands .", one piece a word; special tokens have empty spans.
SOURCE = Side([(0, 0), (0, 3), (3, 9), (9, 16), (16, 17), (17, 17)], [(0, 3), (4, 9), (10, 16), (16, 17)])
TARGET = Side([(0, 3), (3, 8), (8, 14), (14, 15), (15, 15)], [(0, 3), (4, 8), (9, 14), (14, 15)])


def links(rows: list[list[float]], source: Side = SOURCE, target: Side = TARGET) -> list[AlignedWords]:
    return align_words(np.array(rows, dtype=np.float32), source, target)


def test_one_piece_a_word_and_one_look_a_piece_is_read_as_it_stands() -> None:
    looks = np.eye(6, dtype=np.float32)[[1, 2, 3, 4, 5]].tolist()
    expected = [AlignedWords(*source, *target, 1.0) for source, target in zip(SOURCE.words, TARGET.words, strict=True)]
    assert links(looks) == expected


def test_words_may_cross() -> None:
    looks = np.eye(6, dtype=np.float32)[[2, 1, 4, 3, 5]].tolist()
    assert [(link.target_start, link.source_start) for link in links(looks)] == [(0, 4), (4, 0), (9, 16), (14, 10)]


def test_pieces_of_a_source_word_are_summed_and_of_a_target_word_averaged_by_characters() -> None:
    source = Side([(0, 0), (0, 2), (2, 4), (4, 7), (7, 7)], [(0, 4), (5, 7)])  # "ho·me ·no"
    target = Side([(0, 3), (3, 5), (5, 5)], [(0, 5)])
    rows = [[0.0, 0.5, 0.3, 0.1, 0.1], [0.2, 0.1, 0.4, 0.3, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0]]
    assert links(rows, source, target) == [AlignedWords(0, 4, 0, 5, 0.68)]  # (3 * (.5 + .3) + 2 * (.1 + .4)) / 5


def test_a_second_source_word_is_linked_if_its_share_is_large() -> None:
    source = Side([(0, 1), (1, 3), (3, 5)], [(0, 1), (2, 3), (4, 5)])
    target = Side([(0, 1)], [(0, 1)])
    large, small = SECOND_LINK + 0.01, SECOND_LINK - 0.01
    for second, count in ((large, 2), (small, 1)):
        found = links([[0.5, second, 0.5 - second]], source, target)
        assert [link.source_start for link in found] == [0, 2][:count]


def test_a_word_that_looked_at_no_word_is_linked_to_none() -> None:
    source = Side([(0, 0), (0, 1), (1, 3), (3, 3)], [(0, 1), (2, 3)])
    target = Side([(0, 1)], [(0, 1)])
    assert links([[0.5, 0.3, 0.1, 0.1]], source, target) == []  # 0.6 rests on the language token and eos
    assert len(links([[0.2, 0.34, 0.33, 0.13]], source, target)) == 1  # 0.33 does, and one word has more


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pytest.param(Side([(0, 0)], []), Side([(0, 1)], [(0, 1)]), id="no source word"),
        pytest.param(Side([(0, 1)], [(0, 1)]), Side([(0, 0)], []), id="no target word"),
    ],
)
def test_without_words_there_are_no_links(source: Side, target: Side) -> None:
    assert links([[1.0]], source, target) == []


def test_a_piece_belongs_to_the_words_it_shares_a_character_with() -> None:
    side = Side([(0, 0), (0, 2), (2, 4), (4, 4)], [(0, 1), (1, 3), (3, 4)])
    assert side.overlaps().tolist() == [[0, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0]]


@st.composite
def sides(draw: st.DrawFn) -> Side:
    """Pieces that tile a text, empty ones among them, and words with gaps between them."""
    lengths = draw(st.lists(st.integers(0, 4), min_size=1, max_size=8))
    ends = np.cumsum(lengths).tolist()
    cuts = sorted(draw(st.sets(st.integers(0, ends[-1]), max_size=6)))
    words = [(a, b - draw(st.integers(0, b - a - 1))) for a, b in pairwise(cuts)]
    return Side(list(zip([0, *ends], ends, strict=False)), words)


@settings(max_examples=50)
@given(sides(), sides(), st.integers(0, 10**6), st.sampled_from([0.1, 1.0, 10.0]))
def test_links_are_sound_and_sorted_for_any_attention(source: Side, target: Side, seed: int, loudness: float) -> None:
    shape = (len(target.pieces), len(source.pieces))
    powers = np.exp(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32) * np.float32(loudness))
    found = align_words(powers / powers.sum(axis=1, keepdims=True), source, target)
    assert all((link.source_start, link.source_end) in source.words for link in found)
    assert all((link.target_start, link.target_end) in target.words for link in found)
    assert all(0 <= link.weight <= 1 for link in found)
    order = [(link.target_start, link.source_start) for link in found]
    assert order == sorted(set(order))


def shares(rows: list[list[float]]) -> Shares:
    return np.array(rows, dtype=np.float32)


def test_the_share_of_a_word_is_what_its_pieces_look_at() -> None:
    found = word_shares(np.eye(6, dtype=np.float32)[[2, 1, 4, 3, 5]], SOURCE, TARGET)
    assert found.tolist() == np.eye(4)[[1, 0, 3, 2]].tolist()
    assert word_shares(np.eye(6, dtype=np.float32)[[1]], SOURCE, Side([(0, 0)], [])).shape == (0, 4)


def test_a_word_is_linked_to_what_most_of_it_came_from() -> None:
    assert choose_links(shares([[0.6, 0.3], [0.2, 0.5], [0.1, 0.9]])) == {(0, 0), (1, 2)}
    assert choose_links(shares([]).reshape(0, 3)) == choose_links(shares([]).reshape(3, 0)) == set()


def test_from_both_sides_a_link_is_as_strong_as_the_geometric_mean() -> None:
    ahead = shares([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    back = shares([[0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
    # 0.9 * 0.2 = 0.42^2, 0.8 * 0.3 = 0.49^2, 0.5 * 0.6 = 0.55^2; 0.2 * 0.7 = 0.37^2 and less
    assert choose_links(ahead, back) == {(0, 0), (1, 1), (1, 2)}
    assert choose_links(back, ahead) == {(0, 0), (1, 1), (2, 1)}


def test_words_stand_where_single_spaces_put_them() -> None:
    words = ["ab", "", "c"]
    assert [" ".join(words)[start:end] for start, end in spans_of(words)] == words
