"""From a TOML file to checkpoints: what a run leaves behind, and when it is refused."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.small_run import (
    SOURCES,
    TARGETS,
    VOCAB_SIZE,
    assert_same_run,
    saved_progress,
    write_lines,
    write_run,
)
from training.experiment import train
from translator.checkpoint import read_manifest
from translator.config import ModelConfig
from translator.errors import CheckpointError, CorpusError
from translator.inference import Translator


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TOML file of a run that went to its end, in both directions."""
    folder = tmp_path_factory.mktemp("finished")
    path = write_run(folder, corpus={"both_directions": True}, dropout=0.1, validation={"every_steps": 4})
    train(path)
    return path


def test_a_run_leaves_checkpoints_a_state_and_curves(finished: Path) -> None:
    run = finished.parent / "small"
    assert sorted(path.name for path in run.iterdir()) == ["best", "last", "state", "tensorboard"]
    assert saved_progress(run)["step"] == 6
    assert list((run / "tensorboard").iterdir())


@pytest.mark.parametrize("name", ["best", "last"])
def test_its_checkpoints_translate(finished: Path, name: str) -> None:
    translator = Translator.load(finished.parent / "small" / name)
    assert translator.directions == (("en", "de"), ("de", "en"))
    [answer] = translator.translate(["the cat runs"], source="de", target="en")
    assert answer.source_text == "the cat runs"


def test_the_manifest_tells_how_the_model_was_made(finished: Path) -> None:
    manifest = read_manifest(finished.parent / "small" / "best")
    assert manifest.name == "small model"
    assert manifest.languages == ("de", "en")
    assert manifest.model == ModelConfig(
        vocab_size=VOCAB_SIZE, embedding_size=8, encoder_layers=1, encoder_size=6, decoder_layers=2, decoder_size=10,
        attention_heads=2, dropout=0.1,
    )  # fmt: skip
    [corpus] = manifest.training["corpora"]
    assert corpus["files"] == ["text.en", "text.de"]
    assert corpus["cleaning"] == "20 of 20 pairs kept"
    assert manifest.training["training"]["max_steps"] == 6


def test_no_path_of_this_machine_gets_into_a_checkpoint(finished: Path) -> None:
    for file in ("manifest.json", "README.md"):
        assert str(finished.parent) not in (finished.parent / "small" / "best" / file).read_text(encoding="utf-8")


def test_a_folder_that_holds_a_run_is_not_written_over(finished: Path) -> None:
    with pytest.raises(CheckpointError, match=r"small already holds a run; go on with it by --resume"):
        train(finished)


def test_a_run_that_has_ended_can_be_resumed_and_ends_at_once(finished: Path) -> None:
    before = saved_progress(finished.parent / "small")
    assert train(finished, resume=True).step == 6
    assert saved_progress(finished.parent / "small") == before


def test_there_must_be_a_run_to_resume(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"There is no run in .*small to go on with; start it without --resume"):
        train(write_run(tmp_path), resume=True)


@pytest.mark.parametrize("change", ["configuration", "corpus"])
def test_what_is_resumed_must_be_what_was_begun(tmp_path: Path, change: str) -> None:
    train(write_run(tmp_path, max_steps=1))
    path = write_run(tmp_path, max_steps=2 if change == "configuration" else 1)
    if change == "corpus":
        write_lines(tmp_path / "text.de", [*TARGETS[:-2], TARGETS[-1], TARGETS[-2]])  # the same words
    with pytest.raises(CheckpointError, match="belongs to another configuration or corpus; undo the change"):
        train(path, resume=True)


def test_a_kill_in_the_middle_of_saving_costs_nothing(tmp_path: Path) -> None:
    runs: dict[str, Any] = {"max_steps": 2}
    whole, cut = (write_run(tmp_path, name=name, **runs) for name in ("whole", "cut"))
    train(whole)
    train(cut)
    (tmp_path / "cut" / "state").rename(tmp_path / "cut" / ".state.old")
    (tmp_path / "cut" / ".state.new").mkdir()
    with pytest.raises(CheckpointError, match="already holds a run"):
        train(cut)
    assert train(cut, resume=True).step == 2
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_a_corpus_whose_sides_differ_in_length_is_refused(tmp_path: Path) -> None:
    path = write_run(tmp_path)
    write_lines(tmp_path / "text.en", SOURCES[:-1])
    with pytest.raises(CorpusError, match=r"text\.en ends after 19 lines, the other has 20"):
        train(path)
    assert not (tmp_path / "small").exists()
