"""Text that was prepared before: a run on it equals one that read the corpora, and other text is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.small_run import assert_same_run, write_run
from training.config import load_config
from training.experiment import prepare_and_save, train
from training.prepared import load_prepared
from translator.errors import CorpusError

SETTINGS: dict[str, Any] = {
    "corpus": {"both_directions": True, "weight": 1.5},
    "augmentation": {"lower_case": 0.5, "joined": 0.3, "unfinished": 0.2},
    "dropout": 0.2,
    "validation": {"every_steps": 3},
}


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[Path, Path]:
    """A configuration, and the folder that its text was prepared in."""
    config, folder = write_run(tmp_path, **SETTINGS), tmp_path / "text"
    assert prepare_and_save(config, folder) == len(load_prepared(folder, load_config(config)).dataset)
    return config, folder


def test_a_run_on_prepared_text_equals_one_that_read_the_corpora(tmp_path: Path, prepared: tuple[Path, Path]) -> None:
    _, folder = prepared
    plain = write_run(tmp_path, name="plain", **SETTINGS)
    train(plain)
    other = write_run(tmp_path, name="other", **SETTINGS)
    for name in ("text.en", "text.de"):
        (tmp_path / name).unlink()
    train(other, prepared=folder)
    assert_same_run(tmp_path / "other", tmp_path / "plain")
    manifests = [json.loads((tmp_path / run / "best" / "manifest.json").read_text()) for run in ("plain", "other")]
    assert manifests[0] == manifests[1]


def test_other_sizes_and_another_recipe_may_use_it(tmp_path: Path, prepared: tuple[Path, Path]) -> None:
    path = write_run(tmp_path, name="wider", **SETTINGS | {"model": {"decoder_size": 12}, "max_steps": 2})
    assert train(path, prepared=prepared[1]).step == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"augmentation": {"lower_case": 0.4}}, "augmentation"),
        ({"corpus": {"both_directions": False}}, "corpora"),
        ({"validation": {"sentences": 3}}, "validation"),
    ],
    ids=["another dress", "another direction", "other held-out text"],
)
def test_text_of_other_settings_is_refused(
    tmp_path: Path, prepared: tuple[Path, Path], change: dict[str, Any], named: str
) -> None:
    path = write_run(tmp_path, name="changed", **SETTINGS | change)
    with pytest.raises(CorpusError, match=f"prepared with other settings of {named}; prepare it anew"):
        train(path, prepared=prepared[1])


def test_text_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no prepared text in .*nowhere; make it with carousel prepare"):
        train(write_run(tmp_path), prepared=tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["text.json", "pieces.safetensors", "tokenizer.model"])
def test_a_file_that_was_cut_short_is_noticed(tmp_path: Path, prepared: tuple[Path, Path], name: str) -> None:
    config, folder = prepared
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(CorpusError, match=r"text in .* is damaged .*; prepare it anew"):
        train(config, prepared=folder)


def test_another_format_is_refused(prepared: tuple[Path, Path]) -> None:
    config, folder = prepared
    table = json.loads((folder / "text.json").read_text())
    (folder / "text.json").write_text(json.dumps(table | {"format": 2}))
    with pytest.raises(CorpusError, match="has format 2, wanted 1; prepare it anew"):
        train(config, prepared=folder)
