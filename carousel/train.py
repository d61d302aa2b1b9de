"""`carousel train`: learns a model from parallel text, as a TOML file says."""

from pathlib import Path
from typing import Annotated

import typer

from carousel.progress import is_leader, progress_log

EXAMPLES = """\b
Examples:
  make train-toy                               makes the toy's text, then trains configs/toy.toml on it
  carousel train --config configs/everyday-en-de.toml
  carousel train --config configs/everyday-en-de.toml --resume
  carousel train --config configs/everyday.toml --prepared runs/everyday-text
  torchrun --nproc-per-node 2 -m carousel train --config configs/everyday-en-de.toml
"""


def train(
    *,
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="TOML: the data, the model, the recipe.")
    ],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of this run.")] = False,
    prepared: Annotated[
        Path | None,
        typer.Option("--prepared", metavar="FOLDER", help="Text that carousel prepare made; reads no corpus."),
    ] = None,
) -> None:
    """Train a model from parallel text.

    Checkpoints, logs and the learnt tokenizer go to the run folder that the configuration names. A run that
    was stopped, by Ctrl-C or otherwise, goes on with --resume as if nothing had happened.
    """
    from training.experiment import train as run_experiment

    with progress_log():
        progress = run_experiment(config, resume=resume, prepared=prepared)
    if is_leader():
        best = f"best BLEU on held-out text {progress.best_bleu:.2f}, at step {progress.best_step}"
        typer.echo(
            f"{progress.step} steps in {progress.seconds / 60:.0f} minutes; "
            f"{best if progress.best_step else 'not validated yet, so there is no checkpoint to use'}."
        )
