"""`carousel evaluate`: batch BLEU, chrF and TER, each with its signature, and a comparison with another system."""

import json
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carousel.files import open_output, read_lines
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
    decoding_options,
)
from carousel.progress import LotProgress, progress_bar
from translator.errors import InputError
from translator.waiting import wait_briefly

if TYPE_CHECKING:
    from training.comparison import Comparison
    from training.evaluation import Bucket, Evaluation, TestSet

MANY_WORDS = 1000

EXAMPLES = """\b
Examples:
  carousel evaluate --from en --to de dev.en dev.de
  carousel evaluate --from en --to de --test-set multi30k/2016 --output ours.de
  carousel evaluate --from en --to de dev.en dev.de --model runs/mine/best --compare theirs.de
"""


def evaluate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SOURCE REFERENCE",
            help="Text to translate and its translation, a sentence a line, plain or .gz; more references may follow.",
        ),
    ] = None,
    *,
    source: Annotated[str, typer.Option("--from", metavar="LANG", help="Language of the source, such as en.")],
    target: Annotated[str, typer.Option("--to", metavar="LANG", help="Language of the reference, such as de.")],
    test_set: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A test set sacreBLEU knows by name, not files; downloaded once."),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What to call the test set in the report.")] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Another system's output: ask by paired bootstrap whether they differ."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the translations to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
    batch_size: Annotated[int, typer.Option(metavar="N", min=1, help="Most sentences decoded at once.")] = 64,
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
    """Score a model on a test set.

    Shows BLEU, chrF and TER, each with sacreBLEU's signature, BLEU by source length, and sentences per second.
    """
    wait_briefly()
    from training import comparison, evaluation
    from translator.inference import Translator

    text = _test_set(files or [], test_set, source, target)
    if name:
        text = replace(text, name=name)
    theirs = None if compare is None else _other_system(compare, len(text.sources))
    translator = Translator.load(model, threads=threads, compute_type=compute_type or "auto")
    options = decoding_options(
        translator.manifest.decoding,
        beam_size=beam_size,
        length_penalty=length_penalty,
        coverage_penalty=coverage_penalty,
        pruning_threshold=pruning_threshold,
        decision_delay=decision_delay,
        no_repeat_ngram_size=no_repeat_ngram_size,
    )
    with (
        open_output(output) if output else nullcontext() as stream,
        closing(progress_bar(len(text.sources), alone=True)) as bar,
    ):
        found = evaluation.evaluate(
            translator,
            text,
            options=options,
            batch_size=batch_size,
            workers=workers,
            progress=LotProgress(bar, len(text.sources)),
        )
        if stream is not None:
            stream.writelines(f"{hypothesis}\n" for hypothesis in found.hypotheses)
    comparisons = () if theirs is None else comparison.compare(found.hypotheses, theirs, text.references)
    typer.echo(_json(found, comparisons) if as_json else _report(found, comparisons))


def _test_set(files: Sequence[Path], name: str | None, source: str, target: str) -> "TestSet":
    from training.evaluation import named_test_set, read_test_set

    if name is not None and files:
        raise InputError("Both files and --test-set were given: give one or the other; --name only names the report.")
    if name is not None:
        return named_test_set(name, source=source, target=target)
    if len(files) >= 2:
        return read_test_set(files[0], files[1:], source=source, target=target)
    raise InputError("Nothing to score: give a source and a reference file, or --test-set and a name sacreBLEU knows.")


def _other_system(file: Path, sentences: int) -> list[str]:
    lines = read_lines(file)
    if len(lines) != sentences:
        raise InputError(f"{file} has {len(lines):,} lines, the test set {sentences:,}: both must be the same text.")
    return lines


def _json(found: "Evaluation", comparisons: Sequence["Comparison"]) -> str:
    facts = found.to_json() | {"comparisons": [asdict(each) for each in comparisons]}
    return json.dumps(facts, ensure_ascii=False, indent=2)


def _report(found: "Evaluation", comparisons: Sequence["Comparison"]) -> str:
    lines = [
        f"{found.model} on {found.test_set}, {found.source} → {found.target}, "
        f"{found.sentences:,} sentences, beam {found.decoding.beam_size}, {found.compute_type}",
        "",
        *(f"{each.metric:<5} {each.value:6.2f}  {each.signature}" for each in found.scores),
        "",
        "BLEU by words in the source",
        *map(_bucket_line, found.buckets),
        "",
        f"{found.sentences_per_second:.1f} sentences per second, {found.seconds:.1f} seconds in all; "
        f"{found.warnings} came with a warning",
    ]
    if comparisons:
        lines += ["", "Paired bootstrap: ours, theirs, p", *map(_comparison_line, comparisons)]
    return "\n".join(lines)


def _bucket_line(bucket: "Bucket") -> str:
    longest = f"to {bucket.longest:<3}" if bucket.longest < MANY_WORDS else "or more"
    return f"  {bucket.shortest:>3} {longest:<8}{bucket.bleu:6.2f}  {bucket.sentences:,} sentences"


def _comparison_line(each: "Comparison") -> str:
    return f"{each.metric:<5} {each.ours:6.2f}  {each.theirs:6.2f}  {each.p_value:.3f}  {each.signature}"
