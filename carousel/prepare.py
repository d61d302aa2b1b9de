"""`carousel prepare`: makes the text of a training ready, to be trained on elsewhere or several times."""

from pathlib import Path
from typing import Annotated

import typer

from carousel.progress import progress_log

EXAMPLES = """\b
Examples:
  carousel prepare --config configs/everyday.toml runs/everyday-text
  carousel train --config configs/everyday.toml --prepared runs/everyday-text
"""


def prepare(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the prepared text goes.")],
    *,
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="TOML: the data, the model, the recipe.")
    ],
) -> None:
    """Clean and tokenise the text of a training, without training.

    The folder is all that carousel train --prepared needs of the corpora: carry it to a machine with a GPU, or train
    on it several times with other sizes or another recipe.
    """
    from training.experiment import prepare_and_save

    with progress_log():
        examples = prepare_and_save(config, folder)
    typer.echo(f"{examples:,} examples in {folder}.")
