"""What is wrong with a checkpoint is said in one sentence, whatever it is."""

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.tokenizer import learn_tokenizer
from translator.checkpoint import Checkpoint, _hash, load_checkpoint, save_checkpoint
from translator.errors import CheckpointError
from translator.inference import Translator
from translator.weights import SCALE, StoredType


def edit(folder: Path, **changes: object) -> None:
    """Changes entries of a manifest; one changed to `...` is left out."""
    file = folder / "manifest.json"
    table = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in table.items() if value is not ...}))


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def spoil(name: str, how: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(how((folder / name).read_bytes()))


def change(**changes: object) -> Callable[[Path], None]:
    return lambda folder: edit(folder, **changes)


def shorten(data: bytes) -> bytes:
    return data[:-9]


def empty(data: bytes) -> bytes:
    return b""


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


WEIGHTS, TOKENIZER, MANIFEST = "model.safetensors", "tokenizer.model", "manifest.json"
ALTERED = "is not the file the manifest describes: it was cut short or altered .*; copy the checkpoint again"
UNREADABLE = r"manifest\.json cannot be read \(.*\); copy the checkpoint again"
FOREIGN = "is no Carousel checkpoint: its manifest.json does not say 'format': 'carousel-checkpoint'"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        pytest.param(
            shutil.rmtree, "no checkpoint at .*model: wanted a folder that holds manifest.json", id="no folder"
        ),
        pytest.param(remove(MANIFEST), "There is no checkpoint at", id="no manifest"),
        pytest.param(remove(WEIGHTS), "holds no model.safetensors; copy the checkpoint again", id="no weights"),
        pytest.param(remove(TOKENIZER), "holds no tokenizer.model; copy the checkpoint again", id="no tokenizer"),
        pytest.param(spoil(WEIGHTS, shorten), f"{WEIGHTS} {ALTERED}", id="weights cut short"),
        pytest.param(spoil(WEIGHTS, empty), f"{WEIGHTS} {ALTERED}", id="weights empty"),
        pytest.param(spoil(WEIGHTS, flip), f"{WEIGHTS} {ALTERED}", id="one bit of the weights"),
        pytest.param(spoil(TOKENIZER, shorten), f"{TOKENIZER} {ALTERED}", id="tokenizer cut short"),
        pytest.param(spoil(TOKENIZER, flip), f"{TOKENIZER} {ALTERED}", id="one bit of the tokenizer"),
        pytest.param(spoil(MANIFEST, shorten), UNREADABLE, id="manifest cut short"),
        pytest.param(spoil(MANIFEST, empty), UNREADABLE, id="manifest empty"),
        pytest.param(spoil(MANIFEST, lambda _: b"\xff\xfe"), UNREADABLE, id="manifest not UTF-8"),
        pytest.param(spoil(MANIFEST, lambda _: b"[1, 2]"), FOREIGN, id="a list"),
        pytest.param(spoil(MANIFEST, lambda _: b'{"model_type": "marian"}'), FOREIGN, id="foreign JSON"),
        pytest.param(change(format="other"), FOREIGN, id="another format"),
        pytest.param(
            change(format_version=2), "format 2, this program reads up to 1; upgrade Carousel", id="newer format"
        ),
        pytest.param(change(format_version="one"), "has checkpoint format one", id="format without a number"),
    ],
)
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

    monkeypatch.setattr(Path, "read_bytes", refuse)
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
        pytest.param({"training": None}, "training is None, wanted a table", id="training null"),
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
    with pytest.raises(CheckpointError, match=r"weights in .* do not fit the sizes in its manifest\.json") as caught:
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


@pytest.mark.parametrize("stored_type", ["float32", "int8"])
def test_what_happens_to_the_files_after_they_were_read_reaches_nobody(
    checkpoint: Checkpoint, tmp_path: Path, stored_type: StoredType
) -> None:
    folder = tmp_path / "model"
    stored = replace(checkpoint, manifest=replace(checkpoint.manifest, stored_type=stored_type))
    save_checkpoint(folder, stored, card="")
    translator = Translator(load_checkpoint(folder))
    untouched = Translator(load_checkpoint(folder)).translate(["why? the dog."], source="en", target="de")
    for name in (WEIGHTS, TOKENIZER, MANIFEST):
        with (folder / name).open("r+b") as stream:
            stream.truncate(10)
    assert translator.translate(["why? the dog."], source="en", target="de") == untouched
