"""A run of milliseconds for the tests of training: twenty short pairs, a model of about a thousand weights."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from training.config import load_config
from training.distributed import Workers
from training.experiment import trainer_for
from training.tokenizer import learn_tokenizer
from training.trainer import Trainer
from translator.tokenizer import Tokenizer

ANIMALS, VERBS = ("cat", "dog", "horse", "bird", "small cat"), ("sees me", "runs", "eats a lot now", "waits")
SOURCES = [f"the {animal} {verb}" for animal, verb in itertools.product(ANIMALS, VERBS)]
TARGETS = [" ".join(reversed(source.split())) for source in SOURCES]
VOCAB_SIZE = 32

ALONE = Workers(rank=0, size=1, device=torch.device("cpu"))
FILES = {"source": "en", "target": "de", "source_file": "text.en", "target_file": "text.de"}
MODEL = {"embedding_size": 8, "encoder_size": 6, "decoder_layers": 2, "decoder_size": 10, "attention_heads": 2}
TRAINING = {
    "dropout": 0.0,
    "max_steps": 6,
    "batch_tokens": 40,
    "learning_rate": 0.01,
    "warmup_steps": 2,
    "precision": "float32",
    "threads": 1,
}


def small_tokenizer() -> Tokenizer:
    """Learns the tokenizer of a small run."""
    model = learn_tokenizer([*SOURCES, *TARGETS], vocab_size=VOCAB_SIZE, languages=["de", "en"], threads=1)
    return Tokenizer.from_bytes(model)


def write_lines(path: Path, lines: list[str]) -> Path:
    """Writes lines with line feeds, and nothing else, behind them."""
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    return path


def write_run(
    folder: Path,
    *,
    name: str = "small",
    corpus: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    validation: Mapping[str, Any] | None = None,
    augmentation: Mapping[str, Any] | None = None,
    start_from: str | None = None,
    **training: Any,
) -> Path:
    """Writes the text and `NAME.toml`, whose output is the folder `NAME` beside it; the rest adds to its tables.

    With `start_from` there is no tokenizer table, and a model table only if it is asked for.
    """
    write_lines(folder / "text.en", SOURCES)
    write_lines(folder / "text.de", TARGETS)
    tables: dict[str, Mapping[str, Any]] = {
        "[corpora]": {**FILES, **(corpus or {})},
        "[validation.sets]": FILES,
        "tokenizer": {"vocab_size": VOCAB_SIZE},
        "model": {**MODEL, **(model or {})},
        "augmentation": augmentation or {},
        "training": {**TRAINING, **training},
        "validation": {"every_steps": 1000, "sentences": 4, **(validation or {})},
    }
    lines = ['name = "small model"', f"output = {json.dumps(name)}"]
    if start_from is not None:
        lines.append(f"start_from = {json.dumps(start_from)}")
        del tables["tokenizer"]
        if model is None:
            del tables["model"]
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return write_lines(folder / f"{name}.toml", lines)


def make_trainer(folder: Path, *, workers: Workers = ALONE, **settings: Any) -> Trainer:
    """Makes the trainer of a small run in `folder`; it writes nothing before it runs."""
    return trainer_for(load_config(write_run(folder, **settings)), workers)


def saved_tensors(run: Path) -> dict[str, Tensor]:
    """Reads all that a resume would go on from: weights, average, moments, random generator."""
    return load_file(run / "state" / "state.safetensors")


def saved_progress(run: Path) -> dict[str, Any]:
    """Reads where the run is, less what the clock and the folder's name decide."""
    progress: dict[str, Any] = json.loads((run / "state" / "state.json").read_text(encoding="utf-8"))
    return {key: value for key, value in progress.items() if key not in ("seconds", "config")}


def assert_same_run(run: Path, other: Path) -> None:
    """Compares two runs bit for bit: their states, and the checkpoints they leave."""
    assert saved_progress(run) == saved_progress(other)
    expected, found = saved_tensors(run), saved_tensors(other)
    assert expected.keys() == found.keys()
    differing = [name for name, tensor in expected.items() if not torch.equal(tensor, found[name])]
    assert not differing
    for checkpoint in ("best", "last"):
        for file in ("model.safetensors", "tokenizer.model"):
            assert (run / checkpoint / file).read_bytes() == (other / checkpoint / file).read_bytes()
