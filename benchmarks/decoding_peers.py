"""Decoding speed beside other toolkits, on Multi30k's test2016, one after the other in one run.

    python benchmarks/decoding_peers.py --model OURS --peers FOLDER --python PEERS_PYTHON --data MULTI30K --work WORK

Also --train-seconds 400, --rounds 2, --workers 2, --types int8, --systems onmt-rnn ct2-int8.

OURS is a checkpoint trained on Multi30k; give it a shortlist (`carousel shortlist`) to see what that brings. FOLDER
holds the peer scripts, PEERS_PYTHON is the interpreter that has the peers installed. The peers are trained first, one
after the other, for `--train-seconds` and into `--work`, unless their folder is there already: too short to translate
well, long enough to stop where a sentence ends. So compare target tokens a second, not sentences.

Beam 5 and greedy in batches of 64, then one sentence after another with beam 5. Two threads; CTranslate2 as two workers
of one thread each in batches, and as one thread for single sentences, which is where it is quickest. Ours both ways in
batches: "2 workers" are processes that share the sentences. Ours counts
everything from text to text. BLEU is ours alone, each type beside float32 with the whole vocabulary.
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, get_args

import sacrebleu

from translator.catalogue import find_checkpoint
from translator.checkpoint import Checkpoint, load_checkpoint
from translator.compute_type import ComputeType
from translator.decoding import decode_all
from translator.engine import DecodingEngine, make_engine
from translator.processes import Tell, share_out
from translator.threads import set_thread_count

TEST = "test_2016_flickr"
BATCH = 64
SINGLES = 100
SYSTEMS = ("onmt-rnn", "joey-rnn", "marian", "ct2-int8")


class Speed(NamedTuple):
    """One system, one round: target tokens a second, and one sentence at a time in milliseconds."""

    beam: float
    greedy: float
    single: float


class Texts(NamedTuple):
    """What is translated."""

    sources: list[str]
    references: list[str]


def main() -> None:
    """Trains what is missing, measures round by round, prints one table and the ratios."""
    options = _arguments()
    set_thread_count(2)
    data = _data(options)
    for peer in options.systems:
        _train(options, data, "onmt-tf" if peer.startswith("ct2") else peer)
    texts = Texts(
        *((data / f"{TEST}.{language}").read_text(encoding="utf-8").splitlines() for language in ("en", "de"))
    )
    checkpoint = load_checkpoint(find_checkpoint(options.model))
    ours = _ours(checkpoint, texts, options.workers, options.types)
    systems: dict[str, Callable[[], Speed]] = dict(ours)
    for peer in options.systems:
        systems[peer] = lambda peer=peer: _peer(options, data, peer)  # type: ignore[misc]
    found: dict[str, list[Speed]] = {name: [] for name in systems}
    for number in range(options.rounds):
        for name, measure in systems.items():
            found[name].append(measure())
            print(f"round {number + 1}: {name}: {found[name][-1]}", flush=True)
    medians = {name: Speed(*map(statistics.median, zip(*rounds, strict=True))) for name, rounds in found.items()}
    print("\n| | beam 5, tokens/s | greedy, tokens/s | one sentence, beam 5, ms |\n|---|---|---|---|")
    for name, speed in medians.items():
        print(f"| {name} | {speed.beam:,.0f} | {speed.greedy:,.0f} | {speed.single:.1f} |")
    best = Speed(
        max(medians[name].beam for name in ours),
        max(medians[name].greedy for name in ours),
        min(medians[name].single for name in ours),
    )
    for peer in options.systems:
        other = medians[peer]
        print(
            f"{peer}: ours at its best is {best.beam / other.beam:.1f} times as fast with beam 5, "
            f"{best.greedy / other.greedy:.1f} greedy, {other.single / best.single:.1f} with one sentence"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="checkpoint trained on Multi30k")
    parser.add_argument("--peers", type=Path, required=True, help="folder of the peer scripts")
    parser.add_argument("--python", type=Path, required=True, help="interpreter that has the peers installed")
    parser.add_argument("--data", type=Path, required=True, help="folder of Multi30k")
    parser.add_argument("--work", type=Path, required=True, help="folder that the peers are trained in and kept")
    parser.add_argument("--train-seconds", type=int, default=400, help="of each peer that is not there yet (400)")
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each system (2)")
    parser.add_argument("--workers", type=int, default=2, help="processes of ours, beside one with two threads (2)")
    parser.add_argument("--types", nargs="+", choices=get_args(ComputeType), default=get_args(ComputeType), help="ours")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=["onmt-rnn", "ct2-int8"], help="peers")
    options = parser.parse_args()
    for name in ("peers", "python", "data", "work"):  # peers run in the work folder, where some leave files
        setattr(options, name, getattr(options, name).absolute())
    options.work.mkdir(parents=True, exist_ok=True)
    return options


def _data(options: argparse.Namespace) -> Path:
    data: Path = options.work / "data"
    if not (data / f"{TEST}.sp.en").exists():
        subprocess.run([options.peers / "00_raw.sh", options.data, options.work / "raw"], check=True)
        script = [options.python, options.peers / "00_data.py", options.work / "raw", data]
        subprocess.run(script, check=True, stdout=subprocess.DEVNULL)
    (data / "singles.en").write_text(_head(data / f"{TEST}.en", SINGLES), encoding="utf-8")
    (data / "singles.sp.en").write_text(_head(data / f"{TEST}.sp.en", SINGLES), encoding="utf-8")
    return data


def _head(path: Path, count: int) -> str:
    return "".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:count])


def _train(options: argparse.Namespace, data: Path, peer: str) -> None:
    out, log = options.work / peer, options.work / f"{peer}.log"
    if out.exists():
        return
    toolkit, _, kind = peer.partition("-")
    if toolkit == "marian":
        command = [options.peers / "30_marian.sh", options.python, data, out, 2, options.train_seconds]
    else:
        script = {"onmt": "20_onmt.py", "joey": "10_joey.py"}[toolkit]
        command = [options.python, options.peers / script, "train", "--arch", kind, "--data", data, "--out", out]
        command += ["--threads", 2, "--seconds", options.train_seconds, "--valid", 100_000 if toolkit == "joey" else 50]
    print(f"{peer} learns for {options.train_seconds} seconds", flush=True)
    with log.open("w", encoding="utf-8") as stream:
        subprocess.run(
            [str(part) for part in command], stdout=stream, stderr=subprocess.STDOUT, check=False, cwd=out.parent
        )


def _peer(options: argparse.Namespace, data: Path, peer: str) -> Speed:
    batch = _decode(options, data, peer, TEST, 5), _decode(options, data, peer, TEST, 1)
    single = _decode(options, data, peer, "singles", 5, single=True)
    return Speed(batch[0]["tok_s"], batch[1]["tok_s"], single["median_ms"])


def _decode(
    options: argparse.Namespace, data: Path, peer: str, text: str, beam: int, *, single: bool = False
) -> dict[str, float]:
    """Runs a peer's own decoding and reads what it says of it."""
    toolkit, _, kind = peer.partition("-")
    python, scripts, work = options.python, options.peers, options.work
    source = data / f"{text}.sp.en" if toolkit == "onmt" else data / f"{text}.en"
    command = {
        "onmt": [python, scripts / "20_onmt.py", "decode", "--arch", kind, "--out", work / peer],
        "joey": [python, scripts / "10_joey.py", "decode", "--arch", kind, "--data", data, "--out", work / peer],
        "marian": [python, scripts / "31_marian_decode.py", "--vocab", data / "spm.spm"],
        "ct2": [python, scripts / "40_ct2.py", "--ct2", work / peer, "--type", kind, "--spm", data / "spm.model"],
    }[toolkit]
    if toolkit == "marian":
        command += ["--model", work / peer / "model.npz"]
    if toolkit == "ct2":
        best = [python, scripts / "20_onmt.py", "best", "--out", work / "onmt-tf"]
        told = subprocess.run([str(part) for part in best], capture_output=True, text=True, check=True).stdout
        command += ["--ckpt", told.split()[0], "--inter", 1 if single else 2]
    threads = 1 if toolkit == "ct2" and single else 2
    command += ["--src", source, "--hyp", work / "hypotheses", "--beam", beam, "--batch", 1 if single else BATCH]
    command += ["--threads", threads, *(["--each"] if single else [])]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=work)
    told = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), "")
    if not told:
        raise SystemExit(f"{peer} gave no result; its last words: {(done.stdout + done.stderr)[-500:]}")
    result: dict[str, float] = json.loads(told.removeprefix("RESULT "))
    return result


def _ours(
    checkpoint: Checkpoint, texts: Texts, workers: int, types: Sequence[ComputeType]
) -> dict[str, Callable[[], Speed]]:
    """Makes the engines, says what their translations are worth, and how they will be measured."""
    kinds = [(each, shortlisted) for each in types for shortlisted in (True, False)]
    systems: dict[str, Callable[[], Speed]] = {}
    for compute_type, shortlisted in kinds:
        if shortlisted and checkpoint.shortlist is None:
            continue
        engine = make_engine(checkpoint, compute_type=compute_type, use_shortlist=shortlisted)
        name = f"Carousel {compute_type}{', shortlist' if shortlisted else ''}"
        hypotheses, _ = _translated(engine, checkpoint, texts.sources, 5, BATCH)
        metric = sacrebleu.BLEU()
        score = metric.corpus_score(hypotheses, [texts.references]).score
        print(f"{name}: BLEU {score:.2f} ({metric.get_signature()})", flush=True)
        for count in dict.fromkeys((1, workers)):
            systems[name if count == 1 else f"{name}, {count} workers"] = partial(
                _measured, engine, checkpoint, texts, count
            )
    return systems


def _measured(engine: DecodingEngine, checkpoint: Checkpoint, texts: Texts, workers: int) -> Speed:
    rates = []
    for beam in (5, 1):

        def work(sources: Sequence[str], tell: Tell, beam: int = beam) -> list[int]:
            _, tokens = _translated(engine, checkpoint, sources, beam, BATCH)
            return [tokens, *[0] * (len(sources) - 1)]  # a number a source is wanted

        started = time.perf_counter()
        if workers == 1:
            tokens = work(texts.sources, lambda done, total: None)
        else:
            tokens = share_out(work, texts.sources, workers=workers, size=len)
        rates.append(sum(tokens) / (time.perf_counter() - started))
    latencies = []
    for source in texts.sources[:SINGLES]:
        started = time.perf_counter()
        _translated(engine, checkpoint, [source], 5, 1)
        latencies.append(1000 * (time.perf_counter() - started))
    return Speed(rates[0], rates[1], statistics.median(latencies))


def _translated(
    engine: DecodingEngine, checkpoint: Checkpoint, sources: Sequence[str], beam: int, batch: int
) -> tuple[list[str], int]:
    tokenizer = checkpoint.tokenizer
    language = tokenizer.language_id("de")
    encoded = [[language, *ids, tokenizer.eos_id] for ids in tokenizer.encode_batch(sources)]
    options = replace(checkpoint.manifest.decoding, beam_size=beam)
    found = [each[0] for each in decode_all(engine, tokenizer, encoded, options=options, batch_size=batch)]
    return [tokenizer.decode(each.token_ids).text for each in found], sum(len(each.token_ids) for each in found)


if __name__ == "__main__":
    main()
