"""The checkpoint: what is saved comes back, what cannot be trusted is refused, and a save is all or nothing."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.tokenizer import learn_tokenizer
from translator.checkpoint import Checkpoint, _hash, load_checkpoint, read_manifest, save_checkpoint
from translator.errors import CheckpointError
from translator.weights import SCALE, StoredType

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
    checkpoint = checkpoint._replace(manifest=replace(checkpoint.manifest, name="new"))
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


@pytest.fixture
def folder(checkpoint_folder: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(checkpoint_folder, tmp_path / "model"))


def edit(folder: Path, **changes: object) -> None:
    """Changes entries of a manifest; one changed to `...` is left out."""
    file = folder / "manifest.json"
    table = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in table.items() if value is not ...}))


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
    save_checkpoint(tmp_path / "small", checkpoint._replace(manifest=manifest), card="")
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
    save_checkpoint(folder, checkpoint._replace(manifest=replace(checkpoint.manifest, name="new")), card="new")
    assert load_checkpoint(folder).manifest.name == "new"
    assert len(list(folder.iterdir())) == 4


def spoil(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes())) and None


def flip(place: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place:][1:]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        pytest.param(shutil.rmtree, "There is no checkpoint at .*model: wanted a folder that holds manifest.json", id="no folder"),
        pytest.param(lambda folder: (folder / "manifest.json").unlink(), "There is no checkpoint at", id="no manifest"),
        pytest.param(lambda folder: (folder / "model.safetensors").unlink(), "holds no model.safetensors; copy", id="no weights"),
        pytest.param(lambda folder: (folder / "tokenizer.model").unlink(), "holds no tokenizer.model; copy", id="no tokenizer"),
        pytest.param(spoil("model.safetensors", lambda data: data[:-1]), r"model\.safetensors is not the file the manifest describes: it was cut short or altered", id="weights cut short"),
        pytest.param(spoil("model.safetensors", lambda _: b""), r"model\.safetensors is not the file", id="weights empty"),
        pytest.param(spoil("model.safetensors", flip(-1)), r"model\.safetensors is not the file", id="one bit of the weights"),
        pytest.param(spoil("tokenizer.model", flip(100)), r"tokenizer\.model is not the file", id="one bit of the tokenizer"),
        pytest.param(spoil("tokenizer.model", lambda data: data[:-1]), r"tokenizer\.model is not the file", id="tokenizer cut short"),
        pytest.param(spoil("manifest.json", lambda data: data[:-9]), r"manifest\.json cannot be read .*; copy the checkpoint again", id="manifest cut short"),
        pytest.param(spoil("manifest.json", lambda _: b""), r"manifest\.json cannot be read", id="manifest empty"),
        pytest.param(spoil("manifest.json", lambda _: b"\xff\xfe"), r"manifest\.json cannot be read", id="manifest not UTF-8"),
        pytest.param(spoil("manifest.json", lambda _: b"[1, 2]"), "is no Carousel checkpoint", id="a list"),
        pytest.param(spoil("manifest.json", lambda _: b'{"model_type": "marian"}'), "is no Carousel checkpoint: its manifest.json does not say 'format': 'carousel-checkpoint'", id="foreign JSON"),
        pytest.param(lambda folder: edit(folder, format="other"), "is no Carousel checkpoint", id="another format"),
        pytest.param(lambda folder: edit(folder, format_version=2), "has checkpoint format 2, this program reads up to 1; upgrade Carousel", id="newer format"),
        pytest.param(lambda folder: edit(folder, format_version="one"), "has checkpoint format one", id="format without a number"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused_with_a_sentence(
    folder: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    damage(folder)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        load_checkpoint(folder)
    assert "\n" not in str(caught.value)


def test_a_file_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="There is no checkpoint at"):
        load_checkpoint(tmp_path / "file")


def test_a_file_that_may_not_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("hashlib.file_digest", refuse)
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read \(.*Permission denied\)"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"name": 5}, "name is 5", id="name a number"),
        pytest.param({"name": ...}, "name is None, wanted a str", id="no name"),
        pytest.param({"model": ...}, "model", id="no model"),
        pytest.param({"model": None}, "", id="model null"),
        pytest.param({"model": {"vocab_size": "many"}}, "vocab_size is 'many'", id="a size in words"),
        pytest.param({"model": {"vocab_size": 8.5}}, "vocab_size is 8.5", id="half a piece"),
        pytest.param({"model": {"vocab_size": 8, "colour": 1}}, "colour", id="unknown size"),
        pytest.param({"decoding": {"beam_size": 0}}, "beam_size is 0", id="no beam"),
        pytest.param({"decoding": {"length_penalty": "x"}}, "", id="a penalty in words"),
        pytest.param({"languages": "de"}, "languages is 'de', wanted a list", id="languages a text"),
        pytest.param({"directions": [["en"]]}, "", id="half a direction"),
        pytest.param({"directions": {"en": "de"}}, "directions is", id="directions a table"),
        pytest.param({"scores": None}, "scores is None", id="scores null"),
        pytest.param({"scores": [{"metric": "BLEU"}]}, "", id="a score without a value"),
        pytest.param({"weights_sha256": None}, "weights_sha256 is None", id="hash null"),
        pytest.param({"tokenizer_sha256": ...}, "tokenizer_sha256 is None", id="no hash"),
    ],
)
def test_a_damaged_manifest_is_refused_with_the_reason(folder: Path, changes: dict[str, object], reason: str) -> None:
    edit(folder, **changes)
    with pytest.raises(
        CheckpointError, match=rf"manifest\.json is damaged \(.*{reason}.*\); copy the checkpoint again"
    ):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param({"embedding_size": 9}, id="wider"),
        pytest.param({"encoder_layers": 1}, id="fewer layers"),
        pytest.param({"decoder_layers": 4}, id="more layers"),
        pytest.param({"vocab_size": 10**13}, id="more than any memory holds"),
    ],
)
def test_weights_that_do_not_fit_the_sizes_are_refused(folder: Path, sizes: dict[str, int]) -> None:
    table = json.loads((folder / "manifest.json").read_text())
    edit(folder, model=table["model"] | sizes)
    with pytest.raises(CheckpointError, match="weights in .* do not fit the sizes in its manifest.json") as caught:
        load_checkpoint(folder)
    assert "\n" not in str(caught.value)


def store_weights(folder: Path, data: bytes) -> None:
    """As a forger would: with the right hash."""
    (folder / "model.safetensors").write_bytes(data)
    edit(folder, weights_sha256=_hash(folder / "model.safetensors"))


@pytest.mark.parametrize("kind", ["no safetensors", "a scale without its weights"])
def test_weights_of_another_make_are_refused_though_the_hash_is_right(folder: Path, kind: str) -> None:
    weights: dict[str, Tensor] = load_file(folder / "model.safetensors")
    save_file(weights | {"nothing" + SCALE: torch.ones(3)}, folder / "forged")
    store_weights(folder, b"PK\x03\x04" * 9 if kind == "no safetensors" else (folder / "forged").read_bytes())
    with pytest.raises(CheckpointError, match="do not fit the sizes"):
        load_checkpoint(folder)


def test_a_tokenizer_of_another_size_is_refused(folder: Path, checkpoint: Checkpoint) -> None:
    other = learn_tokenizer(["a b c d e f g"] * 3, vocab_size=15, languages=["de"], threads=1, model_type="bpe")
    (folder / "tokenizer.model").write_bytes(other)
    edit(folder, tokenizer_sha256=_hash(folder / "tokenizer.model"))
    size = checkpoint.manifest.model.vocab_size
    with pytest.raises(CheckpointError, match=rf"The tokenizer in .* has 15 pieces, the model {size}; copy"):
        load_checkpoint(folder)


def test_an_unknown_entry_of_the_manifest_is_no_reason_to_refuse(folder: Path) -> None:
    edit(folder, remark="written by a later version of the same format")
    assert load_checkpoint(folder).manifest.name == "tiny"


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

    monkeypatch.setattr("translator.checkpoint.save_file", save_half)
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
        assert_unchanged(path, checkpoint_folder)
