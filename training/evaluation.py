"""The batch BLEU script: a checkpoint and a test set in, figures that can be compared out.

Every score carries sacreBLEU's signature. The text goes through the same `Translator` as everybody's, so what is
measured is what users get.

Source: Post 2018 (sacreBLEU).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import sacrebleu
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from training.corpus import read_lines
from translator.config import DecodingOptions
from translator.errors import CorpusError, InputError
from translator.inference import Translator

BUCKETS = ((1, 5), (6, 10), (11, 20), (21, 40), (41, 10_000))


@dataclass(frozen=True)
class TestSet:
    """Text to translate and what it should become.

    Args:
        name: For the report.
        source: Language code.
        target: Language code.
        sources: One sentence (or short text) each.
        references: One or several streams, each aligned with `sources`.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    name: str
    source: str
    target: str
    sources: list[str]
    references: list[list[str]]


@dataclass(frozen=True)
class MetricScore:
    """A corpus score with what makes it comparable."""

    metric: str
    value: float
    signature: str


@dataclass(frozen=True)
class Bucket:
    """BLEU of the sentences whose source has `shortest` to `longest` words."""

    shortest: int
    longest: int
    sentences: int
    bleu: float


@dataclass(frozen=True)
class Evaluation:
    """All that was measured.

    Args:
        test_set: Name.
        model: Name.
        source: Language code.
        target: Language code.
        sentences: Count.
        decoding: The options of the search.
        compute_type: Arithmetic of the search.
        scores: BLEU, chrF and TER.
        buckets: BLEU by source length in words.
        seconds: Of decoding, without loading.
        hypotheses: One for each source.
        warnings: Translations that came with a warning.
    """

    test_set: str
    model: str
    source: str
    target: str
    sentences: int
    decoding: DecodingOptions
    compute_type: str
    scores: tuple[MetricScore, ...]
    buckets: tuple[Bucket, ...]
    seconds: float
    hypotheses: list[str]
    warnings: int

    @property
    def sentences_per_second(self) -> float:
        """Speed of decoding on this machine, as it was loaded at the time."""
        return self.sentences / self.seconds

    def to_json(self, *, hypotheses: bool = False) -> dict[str, object]:
        """Returns plain values; the hypotheses only if wanted."""
        table = asdict(self) | {"sentences_per_second": round(self.sentences_per_second, 2)}
        if not hypotheses:
            del table["hypotheses"]
        return table


def read_test_set(source_file: Path, reference_files: Sequence[Path], *, source: str, target: str) -> TestSet:
    """Reads a test set from files, one sentence a line.

    Raises:
        CorpusError: A file cannot be read, they differ in length, or they are empty.
    """
    sources = list(read_lines(source_file))
    references = []
    for file in reference_files:
        lines = list(read_lines(file))
        if len(lines) != len(sources):
            raise CorpusError(
                f"{source_file} and {file} differ in length ({len(sources):,} and {len(lines):,} lines); line n of the "
                "reference must be the translation of line n of the source."
            )
        references.append(lines)
    if not sources or not references:
        raise CorpusError(f"There is nothing to evaluate in {source_file}; give a source and a reference with text.")
    return TestSet(source_file.name, source, target, sources, references)


def read_held_out(data: Path, *, source: str, target: str) -> TestSet:
    """Reads the held-out text of a direction from a folder of pairs, each of which serves both directions.

    Args:
        data: Holds a folder a pair, such as `en-de` with `dev.en` and `dev.de`.
        source: Language code.
        target: Language code.

    Raises:
        CorpusError: There is no such pair, or its sides differ in length.
    """
    folders = [data / f"{source}-{target}", data / f"{target}-{source}"]
    folder = next(filter(Path.is_dir, folders), folders[0])
    return read_test_set(folder / f"dev.{source}", [folder / f"dev.{target}"], source=source, target=target)


def named_test_set(name: str, *, source: str, target: str) -> TestSet:
    """Reads a test set that sacreBLEU knows by name ("wmt20"), which it downloads once.

    Raises:
        InputError: It knows no such set, none for this direction, or could not download it.
    """
    pair = f"{source}-{target}"
    if name not in sacrebleu.get_available_testsets():
        raise InputError(f"sacreBLEU knows no test set {name!r}; `sacrebleu --list` shows those it knows.")
    if pair not in sacrebleu.get_langpairs_for_testset(name):
        known = ", ".join(sacrebleu.get_langpairs_for_testset(name))
        raise InputError(f"The test set {name!r} has no {pair}; it has: {known}.")
    try:
        sources = list(read_lines(Path(sacrebleu.get_source_file(name, pair))))
        references = [list(read_lines(Path(file))) for file in sacrebleu.get_reference_files(name, pair)]
    except (OSError, EOFError, SystemExit) as error:
        raise InputError(f"The test set {name!r} could not be downloaded ({error}); give its files instead.") from None
    return TestSet(name, source, target, sources, references)


def evaluate(
    translator: Translator,
    test_set: TestSet,
    *,
    options: DecodingOptions | None = None,
    batch_size: int = 64,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Translates a test set and scores it.

    Args:
        translator: The system.
        test_set: The text.
        options: How to search; None takes what the checkpoint recommends.
        batch_size: Most sentences decoded at once.
        workers: Processes that share the text, as `Translator.translate` takes them.
        progress: Told (sentences done, sentences in all).

    Raises:
        LanguageError: The model does not serve this direction.
    """
    options = options or translator.manifest.decoding
    started = time.perf_counter()
    translations = translator.translate(
        test_set.sources,
        source=test_set.source,
        target=test_set.target,
        options=options,
        detailed=False,
        batch_size=batch_size,
        workers=workers,
        progress=progress,
    )
    seconds = time.perf_counter() - started
    # A line of a hypothesis file must stay one line.
    hypotheses = [" ".join(translation.text.splitlines()) for translation in translations]
    return Evaluation(
        test_set.name,
        translator.name,
        test_set.source,
        test_set.target,
        len(hypotheses),
        options,
        translator.compute_type,
        score(hypotheses, test_set.references),
        bleu_by_length(test_set, hypotheses),
        seconds,
        hypotheses,
        sum(bool(translation.warnings) for translation in translations),
    )


def score(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[MetricScore, ...]:
    """Returns corpus BLEU, chrF and TER in sacreBLEU's default settings, each with its signature."""
    found = []
    for name, metric in metrics().items():
        value = metric.corpus_score(hypotheses, references).score
        found.append(MetricScore(name, round(value, 4), str(metric.get_signature())))
    return tuple(found)


def bleu_by_length(test_set: TestSet, hypotheses: Sequence[str]) -> tuple[Bucket, ...]:
    """Returns BLEU for each bucket of source lengths that holds a sentence."""
    lengths = [len(source.split()) for source in test_set.sources]
    buckets = []
    for shortest, longest in BUCKETS:
        chosen = [n for n, length in enumerate(lengths) if shortest <= length <= longest]
        if chosen:
            references = [[stream[n] for n in chosen] for stream in test_set.references]
            bleu = BLEU().corpus_score([hypotheses[n] for n in chosen], references).score
            buckets.append(Bucket(shortest, longest, len(chosen), round(bleu, 2)))
    return tuple(buckets)


def metrics() -> dict[str, Metric]:
    """Returns what is measured, in sacreBLEU's default settings, by name."""
    return {"BLEU": BLEU(), "chrF": CHRF(), "TER": TER()}
