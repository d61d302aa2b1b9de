"""Training speed at the reference size R, beside OpenNMT-py's and JoeyNMT's RNN, one after the other in one run.

    python benchmarks/training_speed.py --peers FOLDER --python PEERS_PYTHON --data MULTI30K [--seconds 70] [--rounds 2]

FOLDER holds the peer scripts (`20_onmt.py`, `10_joey.py`), PEERS_PYTHON is the interpreter of the environment they are
installed into, MULTI30K the folder of the corpus. Size R: embeddings 512, bidirectional encoder layer of 2 x 256,
decoder of 512 with attention, 8,000 pieces, dropout 0.3, label smoothing 0.1, batches of 1,600 target tokens. Ours has
a second decoder layer instead of input feeding, so it computes more a token, not less. Rates are real target tokens
(no padding) a second; the first third of each run is warm-up and is left out.

Ours is also told as a share of what the processor could do: of its matrix rate in the precision it trains in, measured
between every eighth update and the next, what the products with weights need, forwards and twice backwards (attention,
which needs a hundredth of it, is not counted).
"""

import argparse
import gzip
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch

from training.config import (
    CorpusConfig,
    DirectionFiles,
    ExperimentConfig,
    ModelSizes,
    TokenizerConfig,
    TrainingConfig,
    ValidationConfig,
)
from training.distributed import workers
from training.experiment import trainer_for
from training.memory import KERNELS, keep_freed_memory, keep_kernels

RATE = re.compile(r"Tokens per Sec:\s+([\d,]+)|/(\d+) tok/s")
BATCH_TOKENS = 1600
VOCABULARY = 8000


def main() -> None:
    """Measures every system `rounds` times and prints medians and ratios."""
    options = _arguments()
    keep_freed_memory()  # both as `carousel train` does
    keep_kernels()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _prepare_peers(options, work)
        rates: dict[str, list[float]] = {}
        shares: list[float] = []
        for number in range(options.rounds):
            for name, measure in (("Carousel", _ours), ("OpenNMT-py RNN", _onmt), ("JoeyNMT RNN", _joey)):
                rate, possible = measure(options, work)
                rates.setdefault(name, []).append(rate)
                print(f"round {number + 1}: {name:15} {rate:7,.0f} target tokens/s", flush=True)
                if possible:
                    shares.append(rate / possible)
                    print(f"         {shares[-1]:.0%} of the {possible:,.0f} that the matrix rate allows", flush=True)
    ours = statistics.median(rates["Carousel"])
    for name, measured in rates.items():
        median = statistics.median(measured)
        print(f"{name:15} median {median:7,.0f} target tokens/s; Carousel is {ours / median:.2f} times as fast")
    print(f"Carousel reaches {statistics.median(shares):.0%} of what the matrix rate allows (median)")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, help="folder of the peer scripts")
    parser.add_argument("--python", type=Path, required=True, help="interpreter that has the peers installed")
    parser.add_argument("--data", type=Path, required=True, help="folder of Multi30k")
    parser.add_argument("--seconds", type=int, default=70, help="of each measurement (70)")
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each system (2)")
    parser.add_argument("--threads", type=int, default=2, help="processor threads (2)")
    return parser.parse_args()


def _prepare_peers(options: argparse.Namespace, work: Path) -> None:
    """Lays out and segments the corpus as the peer scripts want it."""
    subprocess.run([options.peers / "00_raw.sh", options.data, work / "raw"], check=True)
    script = [options.python, options.peers / "00_data.py", work / "raw", work / "data", str(VOCABULARY)]
    subprocess.run(script, check=True, stdout=subprocess.DEVNULL)


def _ours(options: argparse.Namespace, work: Path) -> tuple[float, float]:
    """Trains through the real trainer for so many seconds; also tells how many tokens the matrix rate would allow."""
    with workers() as company:
        trainer = trainer_for(_reference_size(options, work), company)
    multiplied = sum(parameter.numel() for parameter in trainer.model.parameters() if parameter.dim() > 1)
    warm, passed, aside, tokens, updates, limits = 0.0, 0.0, 0.0, 0, 0, []
    begun = time.perf_counter()
    for batches in trainer.updates():
        report = trainer.update(batches)
        now = time.perf_counter()
        if not warm:
            warm = now if now - begun > options.seconds / 3 else 0.0
            continue
        tokens += report.tokens
        passed = now - warm - aside
        if now - begun > options.seconds:
            break
        updates += 1
        if updates % 8 == 1:
            # A multiplication and an addition, three times.
            limits.append(_matrix_rate(trainer.precision) / (6 * multiplied))
            aside += time.perf_counter() - now
    if not limits:
        raise SystemExit(f"{options.seconds} seconds are too few to measure an update after the warm-up")
    return tokens / passed, statistics.median(limits)


def _matrix_rate(precision: str) -> float:
    """Measures the processor: operations a second of a product in this precision, of the rows of a batch."""
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    rows, weight = torch.ones(BATCH_TOKENS, 1024, dtype=kind), torch.ones(1024, 2048, dtype=kind)
    rows @ weight
    started = time.perf_counter()
    for _ in range(3):
        rows @ weight
    return 3 * 2 * BATCH_TOKENS * 1024 * 2048 / (time.perf_counter() - started)


def _reference_size(options: argparse.Namespace, work: Path) -> ExperimentConfig:
    files = {}
    for language in ("en", "de"):
        files[language] = work / f"train.{language}"
        with gzip.open(options.data / f"train.{language}.gz", "rb") as packed, files[language].open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    held_out = DirectionFiles(
        source="en", target="de", source_file=options.data / "val.en", target_file=options.data / "val.de"
    )
    return ExperimentConfig(
        name="size-r",
        output=work / "run",
        corpora=(CorpusConfig(source="en", target="de", source_file=files["en"], target_file=files["de"]),),
        tokenizer=TokenizerConfig(vocab_size=VOCABULARY, model_type="bpe", character_coverage=1.0),
        model=ModelSizes(embedding_size=512, encoder_layers=1, encoder_size=256, decoder_layers=2, decoder_size=512),
        training=TrainingConfig(max_steps=100_000, batch_tokens=BATCH_TOKENS, dropout=0.3, threads=options.threads),
        validation=ValidationConfig(every_steps=100_000, sets=(held_out,)),
    )


def _onmt(options: argparse.Namespace, work: Path) -> tuple[float, None]:
    return _peer(options, work, "20_onmt.py", "--report", "10"), None


def _joey(options: argparse.Namespace, work: Path) -> tuple[float, None]:
    return _peer(options, work, "10_joey.py", "--log-every", "5"), None


def _peer(options: argparse.Namespace, work: Path, script: str, *flags: str) -> float:
    """Runs a peer's own training for so many seconds and reads the rates it logs."""
    out = work / f"{script}-{time.monotonic_ns()}"
    command = [options.python, options.peers / script, "train", "--arch", "rnn", "--data", work / "data", "--out", out]
    limits = ["--threads", options.threads, "--seconds", options.seconds, "--valid", 100_000, *flags]
    as_they_come = {name: value for name, value in os.environ.items() if name != KERNELS}
    done = subprocess.run([str(part) for part in (*command, *limits)], capture_output=True, text=True, env=as_they_come)
    found = [float((first or second).replace(",", "")) for first, second in RATE.findall(done.stdout + done.stderr)]
    steady = found[len(found) // 3 :]
    if not steady:
        raise SystemExit(f"{script} logged no rate; its last words: {(done.stdout + done.stderr)[-500:]}")
    return statistics.harmonic_mean(steady)


if __name__ == "__main__":
    main()
