"""Decoding speed at each compute type, beside what the processor's matrix products could do, in one run.

    python benchmarks/decoding_speed.py --source SENTENCES [--model MODEL] [--to de] [--lines 500] [--rounds 3]

For each compute type, greedy and with a beam of five: target tokens a second in batches of 64, and milliseconds for one
sentence at a time (median and 99th percentile). The limit is the rate of the same packed products at 320 rows, measured
just before; "of the limit" is the multiplications the steps and the encoder need (no padding, no lookups, and of the
vocabulary what the shortlist leaves) over the time they took at that rate. Rounds are interleaved, and medians are
shown: a shared machine is slow now and then. int8 is measured with the kernels of this project and with PyTorch's
operations, as it is where there are no kernels. What the steps need is counted once, in a search in float32, for all.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

import torch
from torch import Tensor

from training.cleaning import clean_line
from training.corpus import read_lines
from translator import kernels
from translator.catalogue import find_checkpoint
from translator.checkpoint import Checkpoint, load_checkpoint
from translator.compute_type import ComputeType
from translator.config import ModelConfig
from translator.decoding import decode_all
from translator.decoding_session import DecodingSession
from translator.engine import DecodingEngine, make_engine
from translator.products import make_product
from translator.pytorch_engine import PyTorchEngine
from translator.scoring import Hypothesis
from translator.stepper import StepOutput
from translator.threads import thread_count

BATCH, LIMIT_ROWS = 64, 320
BEAMS = (1, 5)
SOURCE_TOKENS = 15  # of a usual sentence
SINGLES = 100  # sentences decoded one at a time in a round


class Work(NamedTuple):
    """Multiplications, with their additions, that a row of a step needs, a piece it is scored for, a source token."""

    row: int
    column: int
    source_token: int


class CountingEngine(PyTorchEngine):
    """Counts the rows it steps, the pieces it scores for them, and the source tokens it reads."""

    rows = columns = tokens = 0
    vocab_size = 0

    def session(self) -> DecodingSession:
        """Starts a session that is counted."""
        return _CountingSession(self)

    def needed(self, work: Work) -> int:
        """Returns the operations of all that was counted, and begins anew."""
        rows, columns, tokens = self.rows, self.columns, self.tokens
        self.rows = self.columns = self.tokens = 0
        return 2 * (rows * work.row + columns * work.column + tokens * work.source_token)


class _CountingSession(DecodingSession):
    def __init__(self, engine: CountingEngine) -> None:
        super().__init__(engine)
        self._counts = engine

    def admit(self, sources: Sequence[Sequence[int]], beam_size: int) -> None:
        self._counts.tokens += sum(map(len, sources))
        super().admit(sources, beam_size)

    def step(self, token_ids: Tensor, places: Tensor, spare: int = 0) -> StepOutput:
        self._counts.rows += len(token_ids)
        self._counts.columns += self._columns_of(places)
        return super().step(token_ids, places, spare)

    def _columns_of(self, places: Tensor) -> int:
        """Counts the pieces that a step scores, of all rows together."""
        choice = self._known and self._known.choice
        if choice is None:
            return len(places) * self._counts.vocab_size
        listed = (choice.bias > -torch.inf).sum(dim=1)
        columns = torch.where(choice.whole, self._counts.vocab_size, listed)
        return int(columns[self._where(places).of // self._beam_size].sum())


class Arithmetic(NamedTuple):
    """How an engine computes."""

    compute_type: ComputeType
    use_kernels: bool = True

    def __str__(self) -> str:
        """Names it in the table."""
        return self.compute_type if self.use_kernels else f"{self.compute_type}, PyTorch"


class Measured(NamedTuple):
    """One round of one compute type and beam."""

    tokens_per_second: float
    of_the_limit: float
    latencies: list[float]  # seconds


def main() -> None:
    """Measures and prints one table."""
    options = _arguments()
    checkpoint = load_checkpoint(find_checkpoint(options.model))
    sources = _sources(checkpoint, options)
    types = [Arithmetic(each) for each in options.types or get_args(ComputeType)]
    if Arithmetic("int8") in types and kernels.available():
        types.insert(1, Arithmetic("int8", use_kernels=False))
    work = count_work(checkpoint.manifest.model)
    mega_row, mega_token = 2 * work.row / 1e6, 2 * work.source_token / 1e6
    print(
        f"{checkpoint.manifest.name}: {mega_row:.1f} MFLOP a row, {2 * work.column} FLOP for each piece that it is "
        f"scored for, {mega_token:.1f} MFLOP a source token"
    )
    print(f"{len(sources)} sentences, {thread_count()} threads, {options.rounds} rounds, medians\n")
    needed = _count(checkpoint, sources, work, use_shortlist=not options.no_shortlist)
    engines = {
        each: make_engine(
            checkpoint,
            compute_type=each.compute_type,
            use_shortlist=not options.no_shortlist,
            use_kernels=each.use_kernels,
        )
        for each in types
    }
    rates: dict[Arithmetic, list[float]] = {each: [] for each in types}
    found: dict[tuple[Arithmetic, int], list[Measured]] = {(each, beam): [] for each in types for beam in BEAMS}
    for _ in range(options.rounds):
        for each in types:
            rates[each].append(matrix_rate(each))
            for beam in BEAMS:
                found[each, beam].append(
                    _measure(engines[each], checkpoint, sources, beam, needed[beam], rates[each][-1])
                )
    print("| compute type | limit, GFLOP/s | beam | target tokens/s | of the limit | one sentence, ms: median | p99 |")
    print("|---|---|---|---|---|---|---|")
    for (each, beam), rounds in found.items():
        latencies = sorted(latency for measured in rounds for latency in measured.latencies)
        print(
            f"| {each} | {statistics.median(rates[each]):.0f} | {beam} "
            f"| {statistics.median(measured.tokens_per_second for measured in rounds):,.0f} "
            f"| {statistics.median(measured.of_the_limit for measured in rounds):.0%} "
            f"| {1000 * statistics.median(latencies):.1f} | {1000 * latencies[int(0.99 * len(latencies))]:.1f} |"
        )


def count_work(sizes: ModelConfig) -> Work:
    """Counts what `translator.engine` multiplies; sums over attention are counted for a source of SOURCE_TOKENS."""
    hidden, width, embedding = sizes.decoder_size, 2 * sizes.encoder_size, sizes.embedding_size
    later = sizes.decoder_layers - 1
    projected = later * 4 * hidden + embedding
    layers = 4 * hidden * hidden + later * 4 * hidden * 2 * hidden
    attention = hidden * width + SOURCE_TOKENS * (width + sizes.attention_heads * projected)
    row = layers + attention + hidden * embedding
    inputs = [embedding] + [width] * (sizes.encoder_layers - 1)
    encoder = sum(2 * 4 * sizes.encoder_size * (each + sizes.encoder_size) for each in inputs)
    lexical = sizes.lexical_shortcut * embedding * embedding
    return Work(row, embedding, encoder + width * (width + projected) + lexical)


def matrix_rate(arithmetic: Arithmetic, *, width: int = 1024, out: int = 2048, seconds: float = 0.5) -> float:
    """Measures the processor: GFLOP/s of a packed product of 320 rows."""
    multiply = _product(arithmetic, width, out)
    multiply()
    count, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        multiply()
        count += 1
    return 2 * LIMIT_ROWS * width * out * count / passed / 1e9


def _product(arithmetic: Arithmetic, width: int, out: int) -> Callable[[], object]:
    weight, rows = torch.randn(out, width), torch.rand(LIMIT_ROWS, width)
    if arithmetic.compute_type == "int8" and arithmetic.use_kernels and kernels.available():
        packed, numbers = kernels.Int8Product(weight.numpy(), None, bound=1), rows.numpy()
        return lambda: packed(numbers)
    product = make_product(weight, None, bound=1, compute_type=arithmetic.compute_type)
    return lambda: product(rows)


def _count(checkpoint: Checkpoint, sources: list[list[int]], work: Work, *, use_shortlist: bool) -> dict[int, int]:
    """Counts the operations that each size of beam needs."""
    shortlist = checkpoint.shortlist if use_shortlist else None
    engine = CountingEngine(checkpoint.model, pad_id=checkpoint.tokenizer.pad_id, shortlist=shortlist)
    engine.vocab_size = checkpoint.manifest.model.vocab_size
    found = {}
    for beam in BEAMS:
        _decode(engine, checkpoint, sources, beam, BATCH)
        found[beam] = engine.needed(work)
    return found


def _measure(
    engine: DecodingEngine, checkpoint: Checkpoint, sources: list[list[int]], beam: int, needed: int, rate: float
) -> Measured:
    started = time.perf_counter()
    results = _decode(engine, checkpoint, sources, beam, BATCH)
    seconds = time.perf_counter() - started
    tokens = sum(len(found[0].token_ids) for found in results if found)
    latencies = []
    for source in sources[:SINGLES]:
        started = time.perf_counter()
        _decode(engine, checkpoint, [source], beam, 1)
        latencies.append(time.perf_counter() - started)
    return Measured(tokens / seconds, needed / seconds / 1e9 / rate, latencies)


def _decode(
    engine: DecodingEngine, checkpoint: Checkpoint, sources: list[list[int]], beam: int, batch: int
) -> list[list[Hypothesis]]:
    options = replace(checkpoint.manifest.decoding, beam_size=beam)
    return decode_all(engine, checkpoint.tokenizer, sources, options=options, batch_size=batch)


def _sources(checkpoint: Checkpoint, options: argparse.Namespace) -> list[list[int]]:
    tokenizer = checkpoint.tokenizer
    language = tokenizer.language_id(options.target)
    lines = [line for line in map(clean_line, read_lines(options.source)) if line][: options.lines]
    return [[language, *ids, tokenizer.eos_id] for ids in tokenizer.encode_batch(lines)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="text to translate, a sentence a line")
    parser.add_argument("--model", default=None, help="checkpoint folder or name (the default model)")
    parser.add_argument("--to", dest="target", default="de", help="language wanted (de)")
    parser.add_argument("--lines", type=int, default=500, help="sentences used, from the top (500)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (3)")
    parser.add_argument("--no-shortlist", action="store_true", help="choose from the whole vocabulary, always")
    parser.add_argument("--types", nargs="+", choices=get_args(ComputeType), help="compute types (all)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
