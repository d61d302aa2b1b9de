"""A run that goes on from a checkpoint: what it takes from it, and what it refuses."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.small_run import assert_same_run, make_trainer, write_run
from training.config import load_config
from training.experiment import train
from training.start import find_checkpoint_to_start_from, find_start
from translator.catalogue import DEFAULT_MODEL, pretrained_models
from translator.checkpoint import load_checkpoint, read_manifest
from translator.errors import CheckpointError, ConfigError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the run "first", which knows both directions."""
    folder = tmp_path_factory.mktemp("first")
    train(write_run(folder, name="first", corpus={"both_directions": True}, max_steps=2))
    return folder


def test_its_first_weights_sizes_and_pieces_are_the_checkpoints(folder: Path) -> None:
    there = load_checkpoint(folder / "first" / "best")
    trainer = make_trainer(folder, name="second", start_from="first/best")
    assert trainer.manifest.model == there.manifest.model
    assert trainer.tokenizer.to_bytes() == there.tokenizer.to_bytes()
    for model in (trainer.model, trainer.average):
        state = model.state_dict()
        assert state.keys() == there.model.state_dict().keys()
        assert all(torch.equal(state[name], weight) for name, weight in there.model.state_dict().items())


def test_it_leaves_the_checkpoint_alone_and_says_where_it_came_from(folder: Path) -> None:
    before = (folder / "first" / "best" / "model.safetensors").read_bytes()
    train(write_run(folder, name="onwards", start_from="first/best", max_steps=3))
    assert (folder / "first" / "best" / "model.safetensors").read_bytes() == before
    origin, manifest = (read_manifest(folder / name / "best") for name in ("first", "onwards"))
    assert manifest.directions == (("en", "de"),)
    assert manifest.training["started_from"]["name"] == "small model"
    assert manifest.training["started_from"]["weights_sha256"] == origin.weights_sha256
    assert manifest.training["started_from"]["training"] == origin.training
    card = (folder / "onwards" / "best" / "README.md").read_text(encoding="utf-8")
    assert (
        f"went on from the weights of small model ({origin.weights_sha256[:12]}), whose licence is unspecified." in card
    )


def test_dropout_is_the_runs_own(folder: Path) -> None:
    trainer = make_trainer(folder, name="third", start_from="first/best", dropout=0.4)
    assert trainer.manifest.model.dropout == 0.4
    assert trainer.model.encoder.dropout.probability == 0.4


def test_the_name_of_a_built_in_model_will_do(folder: Path) -> None:
    config = load_config(write_run(folder, name="from-default", start_from=DEFAULT_MODEL))
    built_in = read_manifest(pretrained_models()[DEFAULT_MODEL])
    (folder / DEFAULT_MODEL).mkdir()  # a name is a name, whatever lies beside the file
    checkpoint = find_checkpoint_to_start_from(config)
    assert checkpoint is not None
    start = find_start(config, checkpoint.tokenizer, checkpoint)
    assert start.sizes == replace(built_in.model, dropout=config.training.dropout)


def test_a_path_that_ends_in_such_a_name_is_a_path(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"There is no checkpoint '.*runs/{DEFAULT_MODEL}'"):
        make_trainer(folder, name="path", start_from=f"runs/{DEFAULT_MODEL}")


def test_it_may_grow(folder: Path) -> None:
    there = load_checkpoint(folder / "first" / "best")
    sizes = {"decoder_size": 12, "lexical_shortcut": True}
    trainer = make_trainer(folder, name="larger", start_from="first/best", model=sizes)
    assert trainer.manifest.model == replace(there.manifest.model, **sizes)  # type: ignore[arg-type]
    train(write_run(folder, name="larger", start_from="first/best", model=sizes, max_steps=2))
    assert load_checkpoint(folder / "larger" / "best").manifest.model == trainer.manifest.model


def test_other_sizes_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.embedding_size is 4 and that of start_from 8; "):
        make_trainer(folder, name="own-sizes", start_from="first/best", model={"embedding_size": 4})


def test_with_a_tokenizer_of_its_own_it_can_learn_another_language(folder: Path) -> None:
    there = load_checkpoint(folder / "first" / "best")
    path = write_run(folder, name="respelt", start_from="first/best", max_steps=2)
    text = path.read_text(encoding="utf-8").replace('target = "de"', 'target = "fr"')
    path.write_text(text + "[tokenizer]\nvocab_size = 30\n", encoding="utf-8")
    train(path)
    found = load_checkpoint(folder / "respelt" / "best")
    assert found.tokenizer.languages == ("en", "fr")
    assert found.manifest.model == replace(there.manifest.model, vocab_size=30)
    assert found.manifest.training["tokenizer"]["vocab_size"] == 30
    assert found.manifest.training["started_from"]["name"] == "small model"


def test_a_run_that_was_stopped_and_resumed_equals_one_that_was_not(folder: Path) -> None:
    settings: dict[str, Any] = {"start_from": "first/best", "max_steps": 4, "validation": {"every_steps": 2}}
    make_trainer(folder, name="whole", **settings).run()
    stopped = make_trainer(folder, name="halves", **settings)
    stopped.optimizer.register_step_post_hook(lambda *_: signal.raise_signal(signal.SIGTERM))
    assert stopped.run().step == 1
    resumed = make_trainer(folder, name="halves", **settings)
    resumed.resume()
    assert resumed.run().step == 4
    assert_same_run(folder / "whole", folder / "halves")


def test_a_language_the_checkpoint_does_not_know_is_refused(folder: Path) -> None:
    path = write_run(folder, name="french", start_from="first/best")
    text = path.read_text(encoding="utf-8").replace('target = "de"', 'target = "fr"')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(
        ConfigError, match="small model knows de, en, and the corpora are also in fr; take those out, or add a tok"
    ):
        train(path)


def test_a_checkpoint_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"There is no checkpoint '.*nowhere/best'"):
        train(write_run(folder, name="lost", start_from="nowhere/best"))
    assert not (folder / "lost").exists()
