"""From a TOML file to a finished run: read, clean, find where to start, train."""

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.config import ExperimentConfig, load_config
from training.distributed import Workers, workers
from training.memory import keep_freed_memory, keep_kernels
from training.model_card import model_card
from training.prepared import PreparedText, check_destination, load_prepared, prepare_text, save_prepared
from training.start import Start, find_checkpoint_to_start_from, find_start
from training.state import Progress
from training.trainer import Trainer
from translator.checkpoint import Manifest
from translator.errors import CheckpointError
from translator.folders import settle

logger = logging.getLogger(__name__)


def train(config_path: Path, *, resume: bool = False, prepared: Path | None = None) -> Progress:
    """Trains what a TOML file describes, alone or as one of the processes that `torchrun` started.

    Args:
        config_path: The experiment.
        resume: Go on where the run in its output folder was left; without it, a folder that holds a run is refused.
        prepared: Folder that `prepare_and_save` made of the same corpora, which are then not read.

    Raises:
        ConfigError: The file cannot be used.
        CorpusError: The text cannot be used.
        CheckpointError: There is nothing to resume, or there is something and `resume` was not asked for.
    """
    config = load_config(config_path)
    with workers() as company:
        started = company.agree(company.leads and _holds_run(config.output))
        if started and not resume:
            raise CheckpointError(
                f"{config.output} already holds a run; go on with it by --resume (if it got as far as saving its "
                "state), delete it, or name another output folder."
            )
        if resume and not started:
            raise CheckpointError(f"There is no run in {config.output} to go on with; start it without --resume.")
        keep_freed_memory()
        keep_kernels()
        trainer = trainer_for(config, company, prepared=prepared)
        config.output.mkdir(parents=True, exist_ok=True)
        if resume:
            trainer.resume()
        return trainer.run()


def prepare_and_save(config_path: Path, folder: Path) -> int:
    """Reads, cleans and tokenises the text of an experiment into `folder`; returns how many examples there are.

    Raises:
        CarouselError: As `train` does, or the folder cannot be written.
    """
    config = load_config(config_path)
    check_destination(folder)
    text = prepare_text(config, find_checkpoint_to_start_from(config))
    save_prepared(folder, text, config)
    return len(text.dataset)


def trainer_for(config: ExperimentConfig, company: Workers, *, prepared: Path | None = None) -> Trainer:
    """Makes the trainer, of text that is read now or was prepared before."""
    checkpoint = find_checkpoint_to_start_from(config)
    text = load_prepared(prepared, config) if prepared else prepare_text(config, checkpoint)
    start = find_start(config, text.tokenizer, checkpoint)
    manifest = Manifest(
        name=config.name,
        model=start.sizes,
        languages=tuple(sorted({language for direction in config.directions for language in direction})),
        directions=config.directions,
        decoding=config.decoding,
        training=_recipe(config, text, start) | {"usual_source_tokens": text.dataset.usual_source_tokens()},
        licence=config.licence,
        credits=config.credits,
    )
    return Trainer(
        config,
        fingerprint=_fingerprint(config, text, start),
        dataset=text.dataset,
        held_out=text.held_out,
        tokenizer=start.tokenizer,
        manifest=manifest,
        card=model_card(manifest),
        weights=start.weights,
        workers=company,
    )


def _holds_run(output: Path) -> bool:
    """Whether the folder holds anything a new run would overwrite, also after a kill in the middle of saving it."""
    for name in ("state", "best", "last"):
        settle(output / name)
    return any((output / name).exists() for name in ("state", "best", "last"))


def _recipe(config: ExperimentConfig, text: PreparedText, start: Start) -> dict[str, Any]:
    """What the manifest remembers of the training; files by name only."""
    corpora = [
        {
            "files": [corpus.source_file.name, corpus.target_file.name],
            "source": corpus.source,
            "target": corpus.target,
            "both_directions": corpus.both_directions,
            "weight": corpus.weight,
            "weight_back": corpus.weight_back,
            "links": corpus.links_file and corpus.links_file.name,
            "epochs": corpus.epochs,
            "cleaning": report,
        }
        for corpus, report in zip(config.corpora, text.reports, strict=True)
    ]
    return {
        "corpora": corpora,
        "cleaning": asdict(config.cleaning),
        "augmentation": asdict(config.augmentation),
        "training": asdict(config.training),
        **start.recipe,
    }


def _fingerprint(config: ExperimentConfig, text: PreparedText, start: Start) -> str:
    """Hashes all that decides how a run goes: settings, start, examples and held-out text; of files the names only."""
    settings = asdict(config) | {"output": None}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=lambda path: Path(path).name).encode())
    digest.update(start.tokenizer.to_bytes())
    digest.update(json.dumps(start.recipe, sort_keys=True).encode())
    digest.update(text.dataset.digest())
    for held in text.held_out:
        digest.update(repr((held.sources, held.references)).encode())
    return digest.hexdigest()
