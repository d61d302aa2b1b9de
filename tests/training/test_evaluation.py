"""Figures with their signatures, from the same text sacreBLEU would see; comparisons that do not cry wolf."""

from pathlib import Path

import pytest
import sacrebleu

from tests.training.small_run import write_lines
from training.comparison import compare
from training.evaluation import TestSet, bleu_by_length, named_test_set, read_held_out, read_test_set, score
from translator.errors import CorpusError, InputError

REFERENCES = ["the cat sat on the mat today .", "hello there my good old friend .", "we are going home now ."] * 10
WORSE = ["a cat sat on the mat .", "hello there friend .", "we go home ."] * 10


def test_scores_are_those_of_sacrebleu_and_carry_its_signature() -> None:
    found = {each.metric: each for each in score(WORSE, [REFERENCES])}
    assert found["BLEU"].value == pytest.approx(sacrebleu.corpus_bleu(WORSE, [REFERENCES]).score, abs=1e-4)
    assert found["chrF"].value == pytest.approx(sacrebleu.corpus_chrf(WORSE, [REFERENCES]).score, abs=1e-4)
    assert found["TER"].value == pytest.approx(sacrebleu.corpus_ter(WORSE, [REFERENCES]).score, abs=1e-4)
    assert all(f"version:{sacrebleu.__version__}" in each.signature for each in found.values())
    assert "tok:13a" in found["BLEU"].signature and "case:mixed" in found["BLEU"].signature


def test_a_perfect_system_has_the_perfect_scores() -> None:
    assert [each.value for each in score(REFERENCES, [REFERENCES])] == pytest.approx([100, 100, 0])


def test_each_sentence_is_in_the_bucket_of_its_length() -> None:
    sources = ["one", "one two three four five", "one two three four five six", "w " * 50]
    answers = ["a b c d e", "f g h i j", "k l m n o", "p q r s t"]
    buckets = bleu_by_length(TestSet("t", "en", "de", sources, [answers]), answers)
    assert [(each.shortest, each.sentences) for each in buckets] == [(1, 2), (6, 1), (41, 1)]
    assert all(each.bleu == pytest.approx(100) for each in buckets)


def test_files_that_differ_in_length_are_refused(tmp_path: Path) -> None:
    source, reference = write_lines(tmp_path / "a", ["x", "y"]), write_lines(tmp_path / "b", ["x"])
    with pytest.raises(CorpusError, match=r"differ in length \(2 and 1 lines\)"):
        read_test_set(source, [reference], source="en", target="de")


def test_empty_files_are_refused(tmp_path: Path) -> None:
    source, reference = write_lines(tmp_path / "a", []), write_lines(tmp_path / "b", [])
    with pytest.raises(CorpusError, match="nothing to evaluate"):
        read_test_set(source, [reference], source="en", target="de")


@pytest.mark.parametrize(
    ("name", "target", "sentence"),
    [("no-such-set", "de", "knows no test set 'no-such-set'"), ("wmt20", "xx", "'wmt20' has no en-xx; it has: ")],
    ids=["unknown set", "unknown direction"],
)
def test_a_set_sacrebleu_does_not_have_is_refused(name: str, target: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        named_test_set(name, source="en", target=target)


def test_a_system_compared_with_itself_is_no_better() -> None:
    assert all(each.p_value == 1 and each.ours == each.theirs for each in compare(WORSE, WORSE, [REFERENCES]))


def test_a_clear_difference_is_significant_and_says_how_it_was_found() -> None:
    for each in compare(REFERENCES, WORSE, [REFERENCES], samples=200):
        assert each.p_value < 0.05
        assert "bs:200" in each.signature


def test_systems_of_unlike_length_are_refused() -> None:
    with pytest.raises(CorpusError, match="30 and 29 lines"):
        compare(REFERENCES, WORSE[1:], [REFERENCES])


@pytest.mark.parametrize(("source", "target"), [("en", "de"), ("de", "en")])
def test_the_folder_of_a_pair_serves_both_directions(tmp_path: Path, source: str, target: str) -> None:
    (tmp_path / "en-de").mkdir()
    for language in ("en", "de"):
        (tmp_path / "en-de" / f"dev.{language}").write_text(f"a line in {language}\n", encoding="utf-8")
    found = read_held_out(tmp_path, source=source, target=target)
    assert (found.source, found.target) == (source, target)
    assert (found.sources, found.references) == ([f"a line in {source}"], [[f"a line in {target}"]])
