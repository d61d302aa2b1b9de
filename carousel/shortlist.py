"""`carousel shortlist`: learns which pieces a sentence may be translated with, for a quicker decoder."""

from pathlib import Path
from typing import Annotated

import typer

from carousel.export import check_destination
from carousel.progress import progress_log

EXAMPLES = """\b
Examples:
  carousel shortlist runs/mine/best models/mine --config my-translator.toml
  carousel shortlist runs/mine/best models/mine --config my-translator.toml --frequent 1000
  carousel export models/mine models/mine-small --weights int8     keeps the shortlist
"""


def shortlist(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="What training or export wrote, or a built-in model.")
    ],
    destination: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to put it with its shortlist; replaced if it is one.")
    ],
    *,
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="TOML: the corpora that it was trained on.")
    ],
    frequent: Annotated[
        int,
        typer.Option(
            "--frequent", "-f", metavar="N", min=1, help="Pieces of each language that every sentence may use."
        ),
    ] = 100,
) -> None:
    """Give a checkpoint a shortlist: the few hundred pieces of its vocabulary that a sentence may need.

    The model reads its corpora once more, and where it looks tells which pieces belong together. A sentence with a
    piece that was rare in them is translated with the whole vocabulary all the same. Measure what it costs: little
    where the text is of one kind, a BLEU or two where it is of all kinds, and less the more pieces every sentence
    may use. A calibration is to be made anew.
    """
    from training.shortlist import add_shortlist
    from translator.catalogue import find_checkpoint

    checkpoint = find_checkpoint(checkpoint)
    check_destination(destination, checkpoint)
    with progress_log():
        report = add_shortlist(checkpoint, destination, config, frequent=frequent)
    typer.echo(
        f"{report.pieces:.0f} pieces a sentence, in which {report.covered:.2%} of what a translator wrote are; "
        f"{report.whole:.1%} of the sentences choose from all. In {destination}"
    )
