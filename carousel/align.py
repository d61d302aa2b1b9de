"""`carousel align`: which words of a text belong to which of its translation, and how many of the links are wrong."""

from pathlib import Path
from typing import Annotated

import typer

from carousel.files import open_output, read_lines
from carousel.options import ModelOption, ThreadsOption
from translator.errors import InputError
from translator.waiting import wait_briefly

EXAMPLES = """\b
Examples:
  carousel align --from en --to de text.en text.de > text.links
  carousel align --from en --to de test.en test.de --gold test.links
"""


def align(
    source_file: Annotated[Path, typer.Argument(metavar="SOURCE", help="A sentence a line, words parted by spaces.")],
    target_file: Annotated[Path, typer.Argument(metavar="TARGET", help="Its translation, line by line, likewise.")],
    *,
    source: Annotated[str, typer.Option("--from", metavar="LANG", help="Language of SOURCE, such as en.")],
    target: Annotated[str, typer.Option("--to", metavar="LANG", help="Language of TARGET, such as de.")],
    gold: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Links that people made, such as 1-2 (sure) or 1p2 (possible), words counted from 1: "
            "print the error rate, not the links.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the links to this file.")
    ] = None,
    model: ModelOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Align a text with its translation, word by word.

    Line n of the output has the links of line n: 0-0 1-2 says that the first words belong together, and the
    second with the third. A model that knows both directions is asked in both, and links what it sees from both.
    """
    sides = [[line.split() for line in read_lines(file)] for file in (source_file, target_file)]
    if len(sides[0]) != len(sides[1]):
        raise InputError(
            f"{source_file} has {len(sides[0]):,} lines, {target_file} {len(sides[1]):,}: line n of one must be the "
            "translation of line n of the other."
        )
    wait_briefly()
    from training.alignment_error import read_gold, score_alignment
    from translator.inference import Translator

    wanted = None if gold is None else read_gold(gold)
    links = Translator.load(model, threads=threads).align(*sides, source=source, target=target)
    if output is not None or wanted is None:
        with open_output(output) as stream:
            stream.writelines(" ".join(f"{one}-{other}" for one, other in sorted(found)) + "\n" for found in links)
    if wanted is not None:
        score = score_alignment(links, wanted)
        typer.echo(
            f"alignment error rate {100 * score.error_rate:.1f} %, precision {100 * score.precision:.1f} %, "
            f"recall {100 * score.recall:.1f} %, {len(links):,} sentences"
        )
