"""The checkpoint: what is saved comes back, what cannot be trusted is refused, and a save is all or nothing."""

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from translator.checkpoint import Checkpoint, load_checkpoint, read_manifest, save_checkpoint
from translator.errors import CheckpointError
from translator.folders import readable
from translator.weights import StoredType

# Loads a checkpoint and saves it under another name over itself; a child is killed before each of the two renamings.
KILLED = """
import os, signal, sys
from pathlib import Path
from dataclasses import replace
import torch
from translator.checkpoint import load_checkpoint, save_checkpoint

torch.set_num_threads(1)
for number, path in enumerate(map(Path, sys.argv[1:])):
    checkpoint = load_checkpoint(path)
    checkpoint = replace(checkpoint, manifest=replace(checkpoint.manifest, name="new"))
    child = os.fork()
    if not child:
        rename, done = Path.rename, []

        def fatal_rename(self, target):
            if len(done) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            done.append(rename(self, target))

        Path.rename = fatal_rename
        save_checkpoint(path, checkpoint, card="new")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
"""


def assert_unchanged(path: Path, original: Path) -> None:
    assert {file.name: file.read_bytes() for file in path.iterdir()} == {
        file.name: file.read_bytes() for file in original.iterdir()
    }


def test_what_was_saved_comes_back_bit_by_bit(checkpoint: Checkpoint, checkpoint_folder: Path) -> None:
    loaded = load_checkpoint(checkpoint_folder)
    expected = checkpoint.model.state_dict()
    found = loaded.model.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name].view(torch.int32), expected[name].view(torch.int32)) for name in expected)
    assert loaded.tokenizer.to_bytes() == checkpoint.tokenizer.to_bytes()
    assert not loaded.model.training


@pytest.mark.parametrize(
    ("training", "longest"),
    [
        pytest.param({}, 120, id="nothing known"),
        pytest.param({"cleaning": {"max_tokens": 90}}, 90, id="what it was taught"),
        pytest.param({"cleaning": {"max_tokens": 90}, "usual_source_tokens": 55}, 55, id="what is usual"),
        pytest.param({"cleaning": {"max_tokens": 90}, "usual_source_tokens": 5}, 40, id="a corpus of words"),
        pytest.param({"cleaning": {"max_tokens": 30}, "usual_source_tokens": 30}, 30, id="never more than taught"),
        pytest.param({"cleaning": {"max_tokens": 0}, "usual_source_tokens": 70}, 70, id="no limit in training"),
    ],
)
def test_the_longest_sentence_that_is_translated_whole(
    checkpoint: Checkpoint, training: dict[str, object], longest: int
) -> None:
    assert replace(checkpoint.manifest, training=training).max_source_tokens == longest


def test_a_manifest_from_before_calibrations_has_none(folder: Path) -> None:
    table = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del table["calibrations"]
    (folder / "manifest.json").write_text(json.dumps(table), encoding="utf-8")
    assert read_manifest(folder).calibrations == ()


@pytest.mark.parametrize("damage", [{"bias": "x"}, {"weights": [1.0]}, {"weights": ["x"] * 4}, {"unknown": 1}])
def test_a_damaged_calibration_is_refused(folder: Path, damage: dict[str, object]) -> None:
    curve = {
        "source": "en", "target": "de", "bias": 0.5, "weights": [1.0, 0.0, 0.0, 0.0], "right": 60.0, "test_set": "dev",
        "sentences": 100, "expected_calibration_error": 0.0,
    }  # fmt: skip
    table = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for calibrations, is_read in (([curve], True), ([curve | damage], False)):
        (folder / "manifest.json").write_text(json.dumps(table | {"calibrations": calibrations}), encoding="utf-8")
        if is_read:
            assert read_manifest(folder).calibrations[0].weights.mean_log_prob == 1.0
        else:
            with pytest.raises(CheckpointError, match="is damaged"):
                read_manifest(folder)


def test_the_manifest_comes_back_with_the_hashes_filled_in(checkpoint: Checkpoint, checkpoint_folder: Path) -> None:
    manifest = read_manifest(checkpoint_folder)
    assert replace(manifest, weights_sha256="", tokenizer_sha256="") == checkpoint.manifest
    for name, noted in (("model.safetensors", manifest.weights_sha256), ("tokenizer.model", manifest.tokenizer_sha256)):
        summed = subprocess.run(["sha256sum", checkpoint_folder / name], capture_output=True, text=True, check=True)
        assert summed.stdout.split()[0] == noted


def test_the_folder_holds_four_files_that_others_may_read(checkpoint_folder: Path) -> None:
    names = {"manifest.json", "model.safetensors", "tokenizer.model", "README.md"}
    assert {file.name for file in checkpoint_folder.iterdir()} == names
    assert (checkpoint_folder / "README.md").read_text() == "# Tiny\n"
    assert len({file.stat().st_mode for file in checkpoint_folder.iterdir()}) == 1


@pytest.mark.parametrize("stored_type", ["bfloat16", "int8"])
def test_smaller_weights_come_back_within_their_error(
    checkpoint: Checkpoint, tmp_path: Path, stored_type: StoredType
) -> None:
    manifest = replace(checkpoint.manifest, stored_type=stored_type)
    save_checkpoint(tmp_path / "small", replace(checkpoint, manifest=manifest), card="")
    loaded = load_checkpoint(tmp_path / "small")
    assert loaded.manifest.stored_type == stored_type
    for (name, found), expected in zip(
        loaded.model.state_dict().items(), checkpoint.model.state_dict().values(), strict=True
    ):
        assert found.dtype == torch.float32
        assert ((found - expected).abs() <= allowed(expected, stored_type)).all(), name


def allowed(weight: Tensor, stored_type: StoredType) -> Tensor:
    if weight.dim() < 2:
        return torch.zeros(())
    if stored_type == "bfloat16":
        return weight.abs() * 2**-8
    return weight.abs().amax(dim=1, keepdim=True) / 127 * 0.5001


def test_a_saved_checkpoint_replaces_the_one_before(checkpoint: Checkpoint, folder: Path) -> None:
    (folder / "left over").touch()
    save_checkpoint(folder, replace(checkpoint, manifest=replace(checkpoint.manifest, name="new")), card="new")
    assert load_checkpoint(folder).manifest.name == "new"
    assert len(list(folder.iterdir())) == 4


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), id="from the system"),
        pytest.param(SafetensorError("No space left on device"), id="from safetensors"),
    ],
)
def test_a_full_disk_leaves_the_old_checkpoint(
    folder: Path, checkpoint: Checkpoint, checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def save_half(weights: dict[str, Tensor], path: Path) -> None:
        save_file(weights, path)
        os.truncate(path, path.stat().st_size // 2)
        raise error

    monkeypatch.setattr("safetensors.torch.save_file", save_half)
    with pytest.raises(CheckpointError, match=r"could not be written \(.*No space left.*\); make room .* is unchanged"):
        save_checkpoint(folder, checkpoint, card="new")
    assert_unchanged(folder, checkpoint_folder)
    assert list(folder.parent.iterdir()) == [folder]


def test_killed_while_saving_the_old_checkpoint_survives(checkpoint_folder: Path, tmp_path: Path) -> None:
    before, between = tmp_path / "before", tmp_path / "between"
    for path in (before, between):
        shutil.copytree(checkpoint_folder, path)
    subprocess.run([sys.executable, "-c", KILLED, before, between], check=True, timeout=120)
    assert before.exists()
    assert not between.exists()  # the kill came between the two renamings
    for path in (before, between):
        assert load_checkpoint(path).manifest.name == "tiny"
        assert_unchanged(readable(path), checkpoint_folder)
