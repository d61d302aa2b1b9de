"""The kinds of untidy text: every line is read, and dressed as told."""

import re
from pathlib import Path

import pytest

from training.names import NAMES
from training.robustness import read_kinds
from translator.errors import CorpusError

FOLDER = Path(__file__).parents[1] / "robustness"


@pytest.mark.parametrize("source", ["en", "de", "fr", "es"])
@pytest.mark.parametrize("target", ["en", "de", "fr", "es"])
def test_the_folder_can_be_read_in_every_direction(source: str, target: str) -> None:
    kinds = read_kinds(FOLDER, source=source, target=target)
    assert next(iter(kinds)) == "clean"
    assert sum(map(len, kinds.values())) >= 300
    assert min(map(len, kinds.values())) >= 5 or source == "en"
    for kind, lines in kinds.items():
        assert all(line.source.strip() and line.reference.strip() for line in lines)
        if source != target and kind not in ("names", "single words"):
            assert len({line.source for line in lines}) == len(lines)


def test_nobody_in_the_names_is_one_that_training_makes_up() -> None:
    lines = [line.source for line in read_kinds(FOLDER, source="en", target="de")["names"]]
    assert not set(NAMES.split()) & set(re.findall(r"\w+", " ".join(lines)))


def test_typed_lines_are_slips_of_the_clean_ones() -> None:
    kinds = read_kinds(FOLDER, source="de", target="en")
    assert [line.reference for line in kinds["typos"]] == [line.reference for line in kinds["clean"]]
    for typed, clean in zip(kinds["typos"], kinds["clean"], strict=True):
        assert typed.source != clean.source
        assert len(set(typed.source.split()) ^ set(clean.source.split())) <= 4


def write(folder: Path, **tables: str) -> Path:
    for kind, text in tables.items():
        (folder / f"{kind}.tsv").write_text(text, encoding="utf-8")
    return folder


def test_each_dress_changes_the_source_as_its_name_says(tmp_path: Path) -> None:
    kinds = read_kinds(write(tmp_path, clean="en\tde\nWhere is it?\tÜber Straßen.\n"), source="de", target="en")
    assert {kind: lines[0] for kind, lines in kinds.items()} == {
        "clean": ("Über Straßen.", "Where is it?"),
        "capitals": ("ÜBER STRASSEN.", "WHERE IS IT?"),
        "lower case": ("über straßen.", "Where is it?"),
        "no final stop": ("Über Straßen", "Where is it?"),
        "no accents": ("Uber Straßen.", "Where is it?"),
        "spaces astray": ("  Über   Straßen.\t", "Where is it?"),
    }


def test_a_dress_that_changes_nothing_is_not_counted(tmp_path: Path) -> None:
    kinds = read_kinds(write(tmp_path, clean="en\tde\nno\tnein\nÉlan\tSchwung\n"), source="en", target="de")
    assert {kind: len(lines) for kind, lines in kinds.items()} == {
        "clean": 2,
        "capitals": 2,
        "lower case": 1,
        "no accents": 1,
        "spaces astray": 2,
    }


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        pytest.param({"odd": "en\tde\na\tb\n"}, "There is no clean.tsv in", id="no clean lines"),
        pytest.param({"clean": "en\nno\n"}, "clean.tsv has no column de; it has en", id="a language is missing"),
        pytest.param({"clean": "en\tde\nno\t \n"}, "Line 2 of .* an empty cell", id="an empty cell"),
        pytest.param({"clean": "en\tde\nno\n"}, "Line 2 of .* has 1 cell, its head 2", id="a missing cell"),
        pytest.param(
            {"clean": "en\tde\nno\tnein\n", "typos": "en\tde\nnn\tnien\non\tnein\n"},
            "typos.tsv and clean.tsv in .* differ in length",
            id="more typos than lines",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path, tables: dict[str, str], sentence: str) -> None:
    with pytest.raises(CorpusError, match=sentence):
        read_kinds(write(tmp_path, **tables), source="en", target="de")
