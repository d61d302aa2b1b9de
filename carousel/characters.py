"""`carousel characters`: teaches a checkpoint the characters that its vocabulary lacks."""

from pathlib import Path
from typing import Annotated

import typer

from carousel.export import check_destination
from carousel.progress import progress_log

EXAMPLES = """\b
Examples:
  carousel characters runs/mine/best models/mine --config my-translator.toml
  carousel characters runs/mine/best models/mine --config my-translator.toml --teach ÄÖÜ
"""


def characters(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="What training wrote, or a built-in model.")],
    destination: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to put it with its new characters; replaced if it is one.")
    ],
    *,
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="TOML: the corpora that it was trained on.")
    ],
    teach: Annotated[
        str | None,
        typer.Option(
            metavar="CHARACTERS", help="These; if not given, all that the corpora have at least 20 times and it lacks."
        ),
    ] = None,
) -> None:
    """Teach a checkpoint characters that its vocabulary lacks, such as a capital that is rare.

    A word with such a character comes out as if it were a foreign name. Each gets a piece of its own, which is learnt
    in some minutes from the pairs that have it; nothing else of the model changes. Scores, calibration and shortlist
    are to be made anew.
    """
    from training.characters import teach_characters
    from translator.catalogue import find_checkpoint

    checkpoint = find_checkpoint(checkpoint)
    check_destination(destination, checkpoint)
    with progress_log():
        report = teach_characters(checkpoint, destination, config, characters=teach)
    typer.echo(
        f"{report.characters} learnt from {report.examples:,} pairs; of held-back places where one of them belongs it "
        f"is the likeliest piece at {report.right:.0%}. In {destination}"
    )
