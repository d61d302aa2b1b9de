"""The alignment error rate against its formula, and gold files that cannot be read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.alignment_error import GoldAlignment, read_gold, score_alignment
from translator.errors import CorpusError

links = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1)


def gold(sure: set[tuple[int, int]], possible: set[tuple[int, int]]) -> GoldAlignment:
    return GoldAlignment(frozenset(sure), frozenset(sure | possible))


def test_a_gold_file_counts_from_one(tmp_path: Path) -> None:
    (tmp_path / "gold").write_text("1-1 2p3\n\n10-12\n", encoding="utf-8")
    assert read_gold(tmp_path / "gold") == [gold({(0, 0)}, {(1, 2)}), gold(set(), set()), gold({(9, 11)}, set())]


@pytest.mark.parametrize("written", ["0-1", "1-0", "1", "1x2", "1-2-3", "-1"])
def test_a_link_that_cannot_be_is_named_with_its_line(tmp_path: Path, written: str) -> None:
    (tmp_path / "gold").write_text(f"1-1\n2-2 {written}\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=f"Line 2 of .*gold has '{written}'; wanted links such as 1-2"):
        read_gold(tmp_path / "gold")


@given(st.lists(links, min_size=1, max_size=4))
def test_what_people_were_sure_of_has_no_error(sentences: list[set[tuple[int, int]]]) -> None:
    score = score_alignment(sentences, [gold(sentence, set()) for sentence in sentences])
    assert (score.error_rate, score.precision, score.recall) == (0, 1, 1)


def test_a_possible_link_costs_nothing_and_a_wrong_or_missing_one_does() -> None:
    wanted = gold({(0, 0), (1, 1)}, {(2, 2)})
    score = score_alignment([{(0, 0), (2, 2), (3, 3)}], [wanted])
    # |A| = 3, |S| = 2, |A & S| = 1, |A & P| = 2
    assert score.precision == pytest.approx(2 / 3)
    assert score.recall == pytest.approx(1 / 2)
    assert score.error_rate == pytest.approx(1 - (1 + 2) / (3 + 2))


def test_all_sentences_count_together() -> None:
    wanted = [gold({(0, 0)}, set()), gold({(0, 0), (1, 1), (2, 2)}, set())]
    score = score_alignment([{(0, 0)}, {(0, 1)}], wanted)
    assert score.error_rate == pytest.approx(1 - (1 + 1) / (2 + 4))


@pytest.mark.parametrize(
    ("found", "sentence"),
    [([set(), set()], "2 sentences were aligned, and the gold file has 1"), ([set()], "nothing to compare: 0 links")],
)
def test_what_cannot_be_compared_is_refused(found: list[set[tuple[int, int]]], sentence: str) -> None:
    with pytest.raises(CorpusError, match=sentence):
        score_alignment(found, [gold({(0, 0)}, set())])
