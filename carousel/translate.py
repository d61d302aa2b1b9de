"""`carousel translate`: texts, files or stdin in, one translation a line out."""

import gc
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carousel.files import STDIN, open_output, read_lines, typed_lines
from carousel.options import (
    BeamSizeOption,
    ComputeTypeOption,
    CoveragePenaltyOption,
    DecisionDelayOption,
    LengthPenaltyOption,
    ModelOption,
    NoRepeatNgramSizeOption,
    PruningThresholdOption,
    ThreadsOption,
    WorkersOption,
    as_spelt,
    decoding_options,
)
from carousel.progress import LotProgress, progress_bar
from translator.errors import InputError
from translator.waiting import wait_briefly

if TYPE_CHECKING:
    from translator.inference import Translation

# Enough for sentences of like length to travel together, few enough to see the output grow.
LINES_PER_CALL = 2048
NO_COLUMNS = str.maketrans("\t\r\n", "   ")  # what would end a column or a line

EXAMPLES = """\b
Examples:
  carousel translate --from en --to de --text "How much does this cost?"
  carousel translate --from de --to en letter.txt --output letter.en.txt
  carousel translate --from en --to de corpus.en --output corpus.de --workers 2
  echo "Guten Morgen!" | carousel translate --from de --to en --json
"""


def translate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Text files, one after the other; - is stdin, the default."),
    ] = None,
    *,
    source: Annotated[str, typer.Option("--from", metavar="LANG", help="Language of the input, such as en.")],
    target: Annotated[str, typer.Option("--to", metavar="LANG", help="Language of the output, such as de.")],
    text: Annotated[
        list[str] | None,
        typer.Option("--text", "-t", metavar="TEXT", help="Translate this, not files; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to stdout.")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object a line, with score, confidence, tokens, alignment, warnings."),
    ] = False,
    n_best: Annotated[
        int,
        typer.Option(
            metavar="N", help="Translations of each line, best first, with tabs between them and none in them."
        ),
    ] = 1,
    beam_size: BeamSizeOption = None,
    length_penalty: LengthPenaltyOption = None,
    coverage_penalty: CoveragePenaltyOption = None,
    pruning_threshold: PruningThresholdOption = None,
    decision_delay: DecisionDelayOption = None,
    no_repeat_ngram_size: NoRepeatNgramSizeOption = None,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    workers: WorkersOption = 1,
    compute_type: ComputeTypeOption = None,
) -> None:
    """Translate texts, files or stdin, line by line.

    Line n of the output is the translation of line n of the input; blank lines stay blank, and white space
    stays where it was. A file named with --output is replaced only when everything is translated.
    """
    batches, total = _batches(text or [], files or [STDIN], workers * LINES_PER_CALL)
    wait_briefly()
    from translator.inference import Translator

    translator = Translator.load(model, threads=threads, compute_type=compute_type or "auto")
    gc.freeze()  # what was loaded stays; to look through it again and again takes a fortieth of the time
    source, target = (as_spelt(code, translator.languages) for code in (source, target))
    translator.check_direction(source, target)
    options = decoding_options(
        translator.manifest.decoding,
        n_best=n_best,
        beam_size=beam_size,
        length_penalty=length_penalty,
        coverage_penalty=coverage_penalty,
        pruning_threshold=pruning_threshold,
        decision_delay=decision_delay,
        no_repeat_ngram_size=no_repeat_ngram_size,
    )
    line_of = _json_line if as_json else _columns if n_best > 1 else _text_line
    with open_output(output) as stream, closing(progress_bar(total, alone=output is not None)) as bar:
        number = 0
        for lines in batches:
            answers = translator.translate(
                lines,
                source=source,
                target=target,
                options=options,
                detailed=as_json,
                workers=workers,
                progress=LotProgress(bar, len(lines)),
            )
            for answer in answers:
                number += 1
                stream.write(f"{line_of(answer)}\n")
                for warning in answer.warnings:
                    bar.write(f"line {number}: {warning}", file=sys.stderr)
            stream.flush()


def _batches(texts: Sequence[str], files: Sequence[Path], size: int) -> tuple[Iterable[Sequence[str]], int | None]:
    """Return the lines in the lots they are translated in, and how many they are if that is known."""
    if texts and files != [STDIN]:
        raise InputError("Both --text and files were given: give one or the other.")
    for text in texts:
        _check_encoding(text)
    if not texts and files == [STDIN] and sys.stdin.isatty():
        typer.echo("Type text, one line at a time; Ctrl-D ends.", err=True)
        return ([line] for line in typed_lines()), None
    for file in files:
        if not texts and " " in str(file) and not os.path.exists(file):
            raise InputError(f"There is no file {str(file)!r}: if that is the text, put --text before it.")
    lines = list(texts) or [line for file in files for line in read_lines(file)]
    return _lots(lines, size), len(lines)


def _lots(lines: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(lines), size):
        yield lines[start : start + size]


def _check_encoding(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError("The text given with --text is not UTF-8: check the encoding of the terminal.") from None


def _text_line(answer: "Translation") -> str:
    return answer.text


def _columns(answer: "Translation") -> str:
    return "\t".join(text.translate(NO_COLUMNS).rstrip() for text in (answer.text, *answer.alternatives))


def _json_line(answer: "Translation") -> str:
    return json.dumps(answer.to_json(), ensure_ascii=False)
