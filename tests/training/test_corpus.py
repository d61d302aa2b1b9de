"""Reading and cleaning parallel text: what is unusable is refused, what is poor is dropped and counted."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.small_run import write_lines
from training.cleaning import CleaningConfig, CleaningReport, clean_line, fault
from training.config import CorpusConfig
from training.corpus import ParallelText, load_corpus, read_lines, read_pairs
from translator.errors import CorpusError
from translator.text import normalise

LINES = ["Guten Tag!", "", "a\u2028b\x0bc\x85d", "z\u00fcrich"]
KEEP_ALL = CleaningConfig(max_characters=0, max_tokens=0, max_length_ratio=0, drop_duplicates=False)


def load(folder: Path, sources: list[str], targets: list[str], cleaning: CleaningConfig = KEEP_ALL) -> ParallelText:
    files = write_lines(folder / "text.en", sources), write_lines(folder / "text.de", targets)
    return load_corpus(CorpusConfig(source="en", target="de", source_file=files[0], target_file=files[1]), cleaning)


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    assert list(read_lines(write_lines(tmp_path / "text", LINES))) == LINES


def test_compressed_text_is_the_same_text(tmp_path: Path) -> None:
    plain = write_lines(tmp_path / "text", LINES)
    (tmp_path / "text.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert list(read_lines(tmp_path / "text.gz")) == LINES


def test_line_ends_of_windows_and_a_last_line_without_one_are_understood(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"one\r\ntwo")
    assert list(read_lines(tmp_path / "text")) == ["one", "two"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"There is no file .*nowhere\.en; give the path of a text file"):
        list(read_lines(tmp_path / "nowhere.en"))


def test_a_folder_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"cannot be read after line 0: .*Is a directory"):
        list(read_lines(tmp_path))


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes("eins\nzwei\nM\u00fcller\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"Line 3 of .*text is not UTF-8; convert the file"):
        list(read_lines(tmp_path / "text"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(lambda data: data[:-9], "ended before the end-of-stream marker", id="cut short"),
        pytest.param(lambda data: data[:20] + b"\xff" * 20 + data[40:], "Error -3|CRC", id="altered"),
        pytest.param(lambda data: b"plain text", "Not a gzipped file", id="not compressed"),
    ],
)
def test_a_compressed_file_that_is_spoilt_is_refused(tmp_path: Path, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    data = gzip.compress(b"".join(b"line %d\n" % number for number in range(1000)))
    (tmp_path / "text.gz").write_bytes(spoil(data))
    with pytest.raises(CorpusError, match=rf"text\.gz cannot be read after line \d+: .*({message})"):
        list(read_lines(tmp_path / "text.gz"))


@pytest.mark.parametrize(
    ("sources", "targets", "ended"),
    [
        pytest.param(3, 5, r"text\.en ends after 3 lines, the other has 5", id="source is shorter"),
        pytest.param(5, 3, r"text\.de ends after 3 lines, the other has 5", id="target is shorter"),
        pytest.param(0, 1, r"text\.en ends after 0 lines, the other has 1", id="source is empty"),
    ],
)
def test_sides_that_differ_in_length_are_refused(tmp_path: Path, sources: int, targets: int, ended: str) -> None:
    files = write_lines(tmp_path / "text.en", ["x"] * sources), write_lines(tmp_path / "text.de", ["y"] * targets)
    with pytest.raises(CorpusError, match=rf"differ in length: .*{ended}; line n of one must be the translation"):
        list(read_pairs(*files))


def test_lines_are_normalised_and_entities_resolved() -> None:
    assert clean_line("  Tom\u00a0&amp;\u202fJerry&#39;s\u00ad ") == "Tom & Jerry's"


@pytest.mark.parametrize(
    ("source", "target", "cleaning", "reason"),
    [
        pytest.param("a", "", KEEP_ALL, "empty", id="no target"),
        pytest.param("", "a", KEEP_ALL, "empty", id="no source"),
        pytest.param("a" * 11, "a" * 10, CleaningConfig(max_characters=10), "too long", id="one character too many"),
        pytest.param("a" * 10, "a" * 10, CleaningConfig(max_characters=10), None, id="just short enough"),
        # (longer + 15) / (shorter + 15) against 2: 15 characters may stand beside 45, not beside 46.
        pytest.param("a" * 15, "a" * 45, CleaningConfig(max_length_ratio=2), None, id="ratio just reached"),
        pytest.param("a" * 15, "a" * 46, CleaningConfig(max_length_ratio=2), "lengths too unlike", id="ratio exceeded"),
        pytest.param("a", "a" * 100_000, KEEP_ALL, None, id="all rules off"),
    ],
)
def test_each_rule_drops_what_it_says(source: str, target: str, cleaning: CleaningConfig, reason: str | None) -> None:
    assert fault(source, target, cleaning) == reason
    assert fault(target, source, cleaning) == reason


def test_of_equal_pairs_the_first_stays(tmp_path: Path) -> None:
    sources, targets = ["a", "b", "a ", "a"], ["x", "y", "x", "z"]
    text = load(tmp_path, sources, targets, CleaningConfig())
    assert text.pairs == [("a", "x"), ("b", "y"), ("a", "z")]
    assert text.report.dropped == {"duplicate": 1}
    assert len(load(tmp_path, sources, targets).pairs) == 4


line = st.text(st.sampled_from("ab \u00a0\u00ad&;\r\t\u2028"), max_size=30)


@given(pairs=st.lists(st.tuples(line, line), min_size=1, max_size=12), ratio=st.sampled_from([0.0, 1.2]))
@settings(max_examples=50)
def test_every_pair_is_kept_or_counted(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], ratio: float
) -> None:
    cleaning = CleaningConfig(max_characters=20, max_length_ratio=ratio)
    cleaned = [(normalise(source).text, normalise(target).text) for source, target in pairs]
    expected = [pair for pair in dict.fromkeys(cleaned) if fault(*pair, cleaning) is None]
    sources, targets = (list(side) for side in zip(("keep", "keep"), *pairs, strict=True))
    text = load(tmp_path_factory.mktemp("corpus"), sources, targets, cleaning)
    assert text.pairs == [("keep", "keep"), *expected]
    assert text.report.read == len(pairs) + 1
    assert text.report.kept == len(text.pairs)


def load_linked(folder: Path, links: list[str]) -> ParallelText:
    files = write_lines(folder / "text.en", ["a b", "", "l'eau"]), write_lines(folder / "text.de", ["c d", "x", "d"])
    written = write_lines(folder / "text.links", links)
    config = CorpusConfig(source="en", target="de", source_file=files[0], target_file=files[1], links_file=written)
    return load_corpus(config, KEEP_ALL)


def test_links_stay_with_their_pairs(tmp_path: Path) -> None:
    # the second pair is dropped, its links with it; an elided article is a word of its own
    assert load_linked(tmp_path, ["0-1 1-0", "5-5", "1-0"]).links == [{(0, 1), (1, 0)}, {(1, 0)}]
    assert load(tmp_path, ["a"], ["b"]).links is None


@pytest.mark.parametrize(
    ("links", "named"),
    [
        pytest.param(["0-0", ""], "ends after 2 lines, and the corpus goes on", id="too few"),
        pytest.param(["0-0", "", "0-0", "0-0"], "has more lines than the corpus", id="too many"),
        pytest.param(["0-0", "", "0:0"], "has '0:0' in line 3, wanted links such as 0-0 1-2", id="no links"),
        pytest.param(
            ["0-2", "", "0-0"], r"links words in line 1 that are not there \(2 and 2 are\)", id="no such word"
        ),
        pytest.param(["0--1", "", "0-0"], "has '0--1' in line 1", id="a word before the first"),
    ],
)
def test_links_of_another_corpus_are_refused(tmp_path: Path, links: list[str], named: str) -> None:
    with pytest.raises(CorpusError, match=rf"text\.links {named}.*make it of this very corpus, with carousel link"):
        load_linked(tmp_path, links)


def test_links_that_end_where_only_dropped_pairs_follow_are_refused_too(tmp_path: Path) -> None:
    files = write_lines(tmp_path / "text.en", ["a", ""]), write_lines(tmp_path / "text.de", ["b", "x"])
    written = write_lines(tmp_path / "text.links", ["0-0"])
    config = CorpusConfig(source="en", target="de", source_file=files[0], target_file=files[1], links_file=written)
    with pytest.raises(CorpusError, match="ends after 1 lines, and the corpus goes on"):
        load_corpus(config, KEEP_ALL)
    with pytest.raises(CorpusError, match=r"nowhere is not there; make it .*carousel link"):
        load_corpus(replace(config, links_file=tmp_path / "nowhere"), KEEP_ALL)


def test_a_corpus_of_which_nothing_is_left_is_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"Nothing is left of .*: 0 of 3 pairs kept; dropped: empty 2, too long 1\."):
        load(tmp_path, ["", " ", "a" * 601], ["a", "b", "c"], CleaningConfig())


def test_the_report_is_one_line_for_people() -> None:
    report = CleaningReport(read=1200)
    assert str(report) == "1,200 of 1,200 pairs kept"
    report.dropped.update({"empty": 3, "duplicate": 1100})
    assert str(report) == "97 of 1,200 pairs kept; dropped: duplicate 1,100, empty 3"
