"""`carousel back-translate`: lets a model translate what the corpora lack of each other's sentences."""

from pathlib import Path
from typing import Annotated

import typer

from carousel.progress import progress_log

EXAMPLES = """\b
Examples:
  carousel back-translate everyday runs/made --config configs/everyday-greetings.toml --workers 2
  carousel back-translate runs/mine/best runs/made --config my-translator.toml --keep 0.7 --limit 50000
"""


def back_translate(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="What translates, or a built-in model.")],
    destination: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Where to put what is made, en-es.en.gz, en-es.es.gz and so on; replaced if it holds no other files.",
        ),
    ],
    *,
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="TOML: the corpora, two or more with one language.")
    ],
    keep: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the pairs to keep, the surest; above 0, at most 1.")
    ] = 0.8,
    limit: Annotated[
        int, typer.Option(metavar="N", min=0, help="Most sentences of each corpus, drawn at random; 0 is all.")
    ] = 0,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Processes that share the work.")] = 1,
) -> None:
    """Translate the sentences that one corpus has and another with the same language lacks, to learn from.

    The files are aligned line by line: make them [[corpora]] of an experiment, with both_directions. Of five
    translations of each sentence the one is taken that the model likes best both ways.
    """
    from translator.waiting import wait_briefly

    wait_briefly()
    from training.back_translation import back_translate as run
    from translator.catalogue import find_checkpoint

    with progress_log():
        reports = run(find_checkpoint(checkpoint), destination, config, keep=keep, limit=limit, workers=workers)
    for each in reports:
        typer.echo(
            f"{each.kept:,} pairs of {each.source} and {each.target} made of {each.translated:,} sentences "
            f"({each.found:,} are lacking), in "
            f"{destination / f'{each.source}-{each.target}.{each.source}.gz'} and beside it."
        )
