"""A run of milliseconds for the tests of training: twenty short pairs, a model of a few hundred weights."""

import itertools
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from training.config import load_config
from training.distributed import Workers
from training.experiment import prepare
from training.trainer import Trainer

ANIMALS, VERBS = ("cat", "dog", "horse", "bird", "small cat"), ("sees me", "runs", "eats a lot now", "waits")
SOURCES = [f"the {animal} {verb}" for animal, verb in itertools.product(ANIMALS, VERBS)]
TARGETS = [" ".join(reversed(source.split())) for source in SOURCES]

ALONE = Workers(rank=0, size=1, device=torch.device("cpu"))


def write_corpus(folder: Path, *, sources: list[str] = SOURCES, targets: list[str] = TARGETS) -> None:
    """Writes `text.en` and `text.de`."""
    for name, lines in (("text.en", sources), ("text.de", targets)):
        (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="")


def write_config(folder: Path, *, name: str = "small", validation: dict[str, Any] | None = None, **training: Any) -> Path:
    """Writes `NAME.toml`, whose run is the folder `NAME` beside it; `training` and `validation` add to the tables."""
    files = {"source": "en", "target": "de", "source_file": "text.en", "target_file": "text.de"}
    defaults = {
        "max_steps": 6,
        "batch_tokens": 40,
        "learning_rate": 0.01,
        "warmup_steps": 2,
        "precision": "float32",
        "threads": 1,
    }
    tables = {
        "tokenizer": {"vocab_size": 40},
        "model": {
            "embedding_size": 8,
            "encoder_size": 6,
            "decoder_layers": 2,
            "decoder_size": 10,
            "attention_heads": 2,
            "dropout": 0.0,
        },
        "training": defaults | training,
        "validation": {"every_steps": 1000, "sentences": 4} | (validation or {}),
    }
    lines = ['name = "small"', f"output = {json.dumps(name)}"]
    for array, record in (("corpora", files), ("validation.sets", files)):
        lines += [f"[[{array}]]", *(f"{key} = {json.dumps(value)}" for key, value in record.items())]
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def make_trainer(folder: Path, *, workers: Workers = ALONE, **training: Any) -> Trainer:
    """Makes the trainer of a small run in `folder`, which writes nothing before it runs."""
    write_corpus(folder)
    return prepare(load_config(write_config(folder, **training)), workers)


def saved_tensors(run: Path) -> dict[str, Tensor]:
    """Everything a resume would go on from: weights, average, moments, random generator."""
    return load_file(run / "state" / "state.safetensors")


def saved_progress(run: Path) -> dict[str, Any]:
    """Where the run is, less what the clock and the folder's name decide."""
    progress: dict[str, Any] = json.loads((run / "state" / "state.json").read_text(encoding="utf-8"))
    return {key: value for key, value in progress.items() if key not in ("seconds", "config")}
