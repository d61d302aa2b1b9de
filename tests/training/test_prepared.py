"""Text that was prepared before: a run on it equals one that read the corpora, and other text is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.training.small_run import assert_same_run, write_run
from training.config import load_config
from training.experiment import prepare_and_save, train
from training.prepared import load_prepared, prepare_text
from translator.errors import ConfigError, CorpusError

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


def test_links_are_kept_with_the_text(tmp_path: Path) -> None:
    (tmp_path / "text.links").write_text("0-0 1-1\n" * 20)
    settings = SETTINGS | {"corpus": {"both_directions": True, "links_file": "text.links"}, "alignment_weight": 0.5}
    train(write_run(tmp_path, name="plain", **settings))
    other, folder = write_run(tmp_path, name="other", **settings), tmp_path / "text"
    prepare_and_save(other, folder)
    (tmp_path / "text.links").unlink()
    train(other, prepared=folder)
    assert_same_run(tmp_path / "other", tmp_path / "plain")
    train(write_run(tmp_path, name="untold", **settings | {"alignment_weight": 0.0}), prepared=folder)
    weights = [(tmp_path / run / "last" / "model.safetensors").read_bytes() for run in ("plain", "untold")]
    assert weights[0] != weights[1]


def test_other_sizes_and_another_recipe_may_use_it(tmp_path: Path, prepared: tuple[Path, Path]) -> None:
    path = write_run(tmp_path, name="wider", **SETTINGS | {"model": {"decoder_size": 12}, "max_steps": 2})
    assert train(path, prepared=prepared[1]).step == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"augmentation": {"lower_case": 0.4}}, r"augmentation\.joined = 0\.3, wanted 0\.0"),
        ({"corpus": {"both_directions": False}}, r"corpora 1\.both_directions = true, wanted false"),
        ({"validation": {"sentences": 3}}, r"validation\.sentences = 4, wanted 3"),
        ({"start_from": "first/best"}, r"start_from = null, wanted \"best\""),
    ],
    ids=["another dress", "another direction", "other held-out text", "another start"],
)
def test_text_of_other_settings_is_refused(
    tmp_path: Path, prepared: tuple[Path, Path], change: dict[str, Any], named: str
) -> None:
    train(write_run(tmp_path, name="first", max_steps=1))
    path = write_run(tmp_path, name="changed", **SETTINGS | change)
    with pytest.raises(CorpusError, match=f"was prepared with {named}; prepare it anew"):
        train(path, prepared=prepared[1])


def test_text_from_before_a_dress_was_invented_may_be_used(tmp_path: Path, prepared: tuple[Path, Path]) -> None:
    folder = Path(shutil.copytree(prepared[1], tmp_path / "older"))
    table = json.loads((folder / "text.json").read_text())
    del table["settings"]["augmentation"]["excerpted"]
    (folder / "text.json").write_text(json.dumps(table))
    assert train(write_run(tmp_path, name="later", **SETTINGS | {"max_steps": 1}), prepared=folder).step == 1


@pytest.mark.parametrize(("table", "key", "value"), [("tokenizer", "vocab_size", 31), ("cleaning", "max_tokens", 50)])
def test_other_pieces_and_another_cleaning_are_other_settings(
    tmp_path: Path, prepared: tuple[Path, Path], table: str, key: str, value: int
) -> None:
    path = write_run(tmp_path, name="changed", **SETTINGS)
    text = path.read_text().replace("vocab_size = 32", "vocab_size = 31" if table == "tokenizer" else "vocab_size = 32")
    path.write_text(text if table == "tokenizer" else f"{text}[{table}]\n{key} = {value}\n")
    with pytest.raises(CorpusError, match=rf"{table}\.{key} = \d+, wanted {value}"):
        train(path, prepared=prepared[1])


def test_text_with_the_pieces_of_another_checkpoint_is_refused(tmp_path: Path) -> None:
    for name, size in (("one", 32), ("two", 31)):
        path = write_run(tmp_path, name=name, max_steps=1)
        path.write_text(path.read_text().replace("vocab_size = 32", f"vocab_size = {size}"))
        train(path)
    prepare_and_save(write_run(tmp_path, name="on", start_from="one/best"), tmp_path / "text")
    assert train(write_run(tmp_path, name="right", start_from="one/best", max_steps=1), prepared=tmp_path / "text").step
    with pytest.raises(ConfigError, match="prepared with the pieces of another checkpoint than small model"):
        train(write_run(tmp_path, name="wrong", start_from="two/best", max_steps=1), prepared=tmp_path / "text")


def test_what_is_no_prepared_text_is_not_replaced(tmp_path: Path, prepared: tuple[Path, Path]) -> None:
    config, folder = prepared
    prepare_and_save(config, folder)  # prepared text is
    for place in (tmp_path, config):
        with pytest.raises(CorpusError, match="is there and is no prepared text, which would take its place"):
            prepare_and_save(config, place)
    assert (tmp_path / "text.en").is_file()


def test_text_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no prepared text in .*nowhere; make it with carousel prepare"):
        train(write_run(tmp_path), prepared=tmp_path / "nowhere")


@pytest.mark.parametrize("harm", ["cut short", "altered", "missing"])
@pytest.mark.parametrize("name", ["text.json", "pieces.safetensors", "tokenizer.model"])
def test_a_damaged_file_is_noticed(prepared: tuple[Path, Path], name: str, harm: str) -> None:
    config, folder = prepared
    content = (folder / name).read_bytes()
    if harm == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content[: len(content) // 2] if harm == "cut short" else content[:-2] + b"??")
    gone = harm == "missing" and name == "text.json"
    with pytest.raises(
        CorpusError, match="make it with carousel prepare" if gone else "is damaged .*; prepare it anew"
    ):
        train(config, prepared=folder)


def test_another_format_is_refused(prepared: tuple[Path, Path]) -> None:
    config, folder = prepared
    table = json.loads((folder / "text.json").read_text())
    (folder / "text.json").write_text(json.dumps(table | {"format": 1}))
    with pytest.raises(CorpusError, match="has format 1, wanted 2; prepare it anew"):
        train(config, prepared=folder)


def test_what_is_wrong_with_the_held_out_text_is_told_before_the_corpora_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(write_run(tmp_path, **SETTINGS))
    held_out = config.validation.sets[0].source_file
    held_out.rename(tmp_path / "elsewhere")
    monkeypatch.setattr("training.prepared.load_corpus", lambda *_: pytest.fail("a corpus was read"))
    with pytest.raises(CorpusError, match=held_out.name):
        prepare_text(config, None)
