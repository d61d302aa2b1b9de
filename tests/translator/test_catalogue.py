"""Names for checkpoints: a folder, a built-in name, or a sentence that lists what there is."""

from pathlib import Path

import pytest

from translator import catalogue
from translator.catalogue import DEFAULT_MODEL, find_checkpoint, find_checkpoints, pretrained_models
from translator.errors import CheckpointError


@pytest.fixture(autouse=True)
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two built-in models and a folder that is none; the working folder is empty."""
    folder = tmp_path / "pretrained"
    for name in (DEFAULT_MODEL, "another"):
        (folder / name).mkdir(parents=True)
        (folder / name / "manifest.json").touch()
    (folder / "half-copied").mkdir()
    monkeypatch.setattr(catalogue, "PRETRAINED", folder)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


def test_built_in_models_are_the_folders_with_a_manifest(built_in: Path) -> None:
    assert pretrained_models() == {name: built_in / name for name in ("another", DEFAULT_MODEL)}


def test_without_a_name_it_is_the_default_model(built_in: Path) -> None:
    assert find_checkpoint() == built_in / DEFAULT_MODEL


@pytest.mark.parametrize("kind", [str, Path], ids=["text", "path"])
def test_a_name_finds_the_built_in_model(built_in: Path, kind: type) -> None:
    assert find_checkpoint(kind("another")) == built_in / "another"


def test_all_are_the_built_in_models_and_a_folder_stands_for_those_in_it(built_in: Path) -> None:
    assert find_checkpoints() == find_checkpoints(DEFAULT_MODEL) == [built_in / DEFAULT_MODEL]
    assert find_checkpoints("all") == find_checkpoints(built_in) == [built_in / "another", built_in / DEFAULT_MODEL]
    assert find_checkpoints(built_in / "another") == [built_in / "another"]
    (built_in / ".another.new").mkdir()
    (built_in / ".another.new" / "manifest.json").touch()  # one that is being written
    assert len(find_checkpoints(built_in)) == 2
    (built_in / "another").rename(built_in / ".another.old")  # its replacement was cut off
    assert find_checkpoints(built_in) == [built_in / "another", built_in / DEFAULT_MODEL]
    with pytest.raises(CheckpointError, match="There is no checkpoint 'nothing'"):
        find_checkpoints("nothing")


@pytest.mark.parametrize("kind", [str, Path], ids=["text", "path"])
def test_a_checkpoint_folder_is_found_and_goes_before_a_name(tmp_path: Path, kind: type) -> None:
    Path("another").mkdir()
    assert find_checkpoint(kind("another")) != Path("another"), "a folder without a manifest is no checkpoint"
    (Path("another") / "manifest.json").touch()
    assert find_checkpoint(kind("another")) == Path("another")
    assert find_checkpoint(kind(tmp_path)) == tmp_path
    assert find_checkpoint(".") == Path(".")


def test_a_folder_whose_replacement_was_cut_off_is_read_where_it_was_put_aside(tmp_path: Path) -> None:
    (tmp_path / ".model.old").mkdir()
    (tmp_path / ".model.old" / "manifest.json").touch()
    assert find_checkpoint(tmp_path / "model") == tmp_path / ".model.old"
    assert not (tmp_path / "model").exists(), "a reader changes nothing"


@pytest.mark.parametrize("wanted", ["nothing", "no/such/folder", "half-copied", "another/manifest.json"])
def test_what_is_not_there_is_refused_with_what_is(wanted: str) -> None:
    names = f"another, {DEFAULT_MODEL}"
    with pytest.raises(CheckpointError, match=rf"no checkpoint '{wanted}': give the path .* models \({names}\)\."):
        find_checkpoint(wanted)


def test_when_nothing_is_built_in_the_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "PRETRAINED", tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=rf"'{DEFAULT_MODEL}': .* \(none is built in here\)"):
        find_checkpoint()
