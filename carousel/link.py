"""`carousel link`: finds which words of the corpora belong together, for attention to learn from."""

from pathlib import Path
from typing import Annotated

import typer

from carousel.progress import progress_log

EXAMPLES = """\b
Examples:
  carousel link --config configs/everyday-onwards.toml
  carousel train --config configs/everyday-onwards.toml
"""


def link(
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="TOML: the corpora, and where their links go.")
    ],
) -> None:
    """Find which words of the corpora belong together, and write that to the links_file of each.

    Training with alignment_weight then teaches the attention to look there. The aligner is eflomal (pip install
    eflomal). It draws at random, so another run finds somewhat other links: keep the files, as a training can only be
    resumed with those that it began with.
    """
    from training.aligner import link_corpora
    from training.config import load_config

    with progress_log():
        written = link_corpora(load_config(config))
    for file, links in written:
        typer.echo(f"{links:,} links in {file.resolve()}.")
