"""Sentences that one corpus has and another lacks, translated by a model of ours for the other to learn from.

Corpora that share a language seldom share its sentences: what German has been found for may have no Spanish. A model
that knows both directions makes the other side, and what it makes is learnt from both ways: from the real sentence to
the made one, and, which teaches more, from the made one to the real one.

Of the best translations that a beam search finds, the one is taken that both directions together like best,

    score(target | source) + WAY_BACK * score(source | target)

and the least sure of all sentences are dropped.

Source: Sennrich et al. 2016, "Improving Neural Machine Translation Models with Monolingual Data"; for the choice, Yee
et al. 2019, "Simple and Effective Noisy Channel Modeling for Neural Machine Translation".
"""

import gzip
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from training.cleaning import CleaningConfig, clean_line, fault
from training.config import CorpusConfig, load_config
from training.corpus import read_pairs
from translator.checkpoint import Checkpoint, load_checkpoint
from translator.compute_type import choose_compute_type
from translator.decoding import decode_all
from translator.engine import DecodingEngine, make_engine
from translator.errors import ConfigError, CorpusError
from translator.folders import replace_folder
from translator.forced_decoding import score_all
from translator.processes import Tell, share_out
from translator.scoring import Hypothesis
from translator.text import words
from translator.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

CANDIDATES = 5
WAY_BACK = 0.2
LEAST_WORDS, MOST_WORDS = 3, 30
AT_ONCE = 256  # sentences between two looks at the clock

Ids = list[int]


class Made(NamedTuple):
    """A translation and what both directions think of it."""

    text: str
    score: float


class BackTranslationReport(NamedTuple):
    """What was made for one corpus.

    Args:
        source: Language of the real sentences.
        target: Language of the translations.
        found: Sentences that others have and it lacks.
        translated: Of these.
        kept: Pairs that were written.
    """

    source: str
    target: str
    found: int
    translated: int
    kept: int


def back_translate(
    source: Path,
    destination: Path,
    config_path: Path,
    *,
    keep: float = 0.8,
    limit: int = 0,
    workers: int = 1,
    seed: int = 1,
) -> list[BackTranslationReport]:
    """Translates what the corpora of an experiment lack of each other's sentences.

    Args:
        source: The checkpoint that translates; it knows both directions of each corpus.
        destination: The folder for what is made: en-es.en.gz and en-es.es.gz, for a corpus of English and Spanish.
            Replaced as a whole.
        config_path: The experiment.
        keep: Share of the pairs that is kept, the surest.
        limit: Most sentences of each corpus, drawn at random; 0 is all.
        workers: Processes that share the work.
        seed: Of the draw.

    Raises:
        CheckpointError: `source` cannot be read.
        ConfigError: The experiment cannot be used, or the model was not taught a direction that is needed.
        CorpusError: A corpus cannot be read, or no corpus lacks anything.
    """
    if not 0 < keep <= 1:
        raise ConfigError(f"keep is {keep:g}, wanted more than 0 and at most 1.")
    checkpoint, config = load_checkpoint(source), load_config(config_path)
    _check_destination(destination, config.corpora)
    lacking = _lacking(config.corpora)
    if not lacking:
        raise CorpusError(
            f"The corpora of {config_path} have no sentences that another one lacks: there is nothing to translate."
        )
    _check_directions(checkpoint, lacking)
    engine = make_engine(checkpoint, compute_type=choose_compute_type("auto", "cpu"))
    random, reports = Random(seed), []
    with replace_folder(destination) as folder:
        for (real, other), sentences in lacking.items():
            chosen = random.sample(sentences, limit) if 0 < limit < len(sentences) else sentences
            made = _translate(engine, checkpoint, chosen, real, other, workers)
            pairs = _surest(chosen, made, keep, config.cleaning)
            for language, side in ((real, 0), (other, 1)):
                _write(folder / f"{real}-{other}.{language}.gz", [pair[side] for pair in pairs])
            reports.append(BackTranslationReport(real, other, len(sentences), len(chosen), len(pairs)))
            logger.info("%s to %s: %s pairs of %s sentences.", real, other, f"{len(pairs):,}", f"{len(chosen):,}")
    return reports


def _check_destination(path: Path, corpora: Sequence[CorpusConfig]) -> None:
    """Refuses to replace what this has not made, and whatever the corpora are read from."""
    if path.is_file():
        raise ConfigError(f"{path} is a file, wanted a folder: name another one.")
    pairs = [pair for each in corpora for pair in ((each.source, each.target), (each.target, each.source))]
    made = {f"{real}-{other}.{language}.gz" for real, other in pairs for language in (real, other)}
    read = {
        file.resolve()
        for each in corpora
        for file in (each.source_file, each.target_file, each.links_file)
        if file is not None
    }
    there = path.iterdir() if path.is_dir() else ()
    strangers = sorted(file.name for file in there if file.name not in made or file.resolve() in read)
    if strangers:
        raise ConfigError(f"{path} holds {', '.join(strangers)}, which would be lost: name another folder.")


def _lacking(corpora: Sequence[CorpusConfig]) -> dict[tuple[str, str], list[str]]:
    """Returns for each (language of real sentences, other language) the sentences that other corpora have, sorted."""
    known: dict[tuple[str, str], set[str]] = {}
    for corpus in corpora:
        sources = known.setdefault((corpus.source, corpus.target), set())
        targets = known.setdefault((corpus.target, corpus.source), set())
        for source, target in read_pairs(corpus.source_file, corpus.target_file):
            sources.add(clean_line(source))
            targets.add(clean_line(target))
    found = {}
    for (language, other), own in known.items():
        others = [lines for (theirs, beside), lines in known.items() if theirs == language and beside != other]
        folded = set(map(_folded, own))
        lines = {_folded(line): line for line in sorted(set[str]().union(*others), reverse=True) if _is_sentence(line)}
        if fresh := sorted(line for key, line in lines.items() if key not in folded):
            found[language, other] = fresh
    return found


def _folded(line: str) -> str:
    """What two lines share that say the same with other capitals and marks."""
    return "".join(filter(str.isalnum, line.lower()))


def _is_sentence(line: str) -> bool:
    count = sum(line[start].isalnum() for start, _ in words(line))
    return LEAST_WORDS <= count <= MOST_WORDS and line[-1] in ".?!" and not line.isupper()


def _check_directions(checkpoint: Checkpoint, wanted: dict[tuple[str, str], list[str]]) -> None:
    taught = checkpoint.manifest.directions
    for one, other in wanted:
        if (one, other) not in taught or (other, one) not in taught:
            known = ", ".join(f"{source} to {target}" for source, target in taught)
            raise ConfigError(
                f"{checkpoint.manifest.name} does not translate {one} to {other} and back; it was taught: {known}."
            )


def _translate(
    engine: DecodingEngine, checkpoint: Checkpoint, sentences: Sequence[str], real: str, other: str, workers: int
) -> list[Made | None]:
    tokenizer = checkpoint.tokenizer
    languages = tokenizer.language_id(other), tokenizer.language_id(real)
    options = replace(
        checkpoint.manifest.decoding,
        beam_size=max(CANDIDATES, checkpoint.manifest.decoding.beam_size),
        n_best=CANDIDATES,
    )

    def work(part: Sequence[Ids], tell: Tell) -> list[Made | None]:
        found: list[Made | None] = []
        for start in range(0, len(part), AT_ONCE):
            stretch = part[start : start + AT_ONCE]
            sources = [[languages[0], *ids, tokenizer.eos_id] for ids in stretch]
            best = decode_all(engine, tokenizer, sources, options=options)
            sound = [
                [each for each in hypotheses if _is_sound(each.token_ids) and Tokenizer.unk_id not in ids]
                for ids, hypotheses in zip(stretch, best, strict=True)
            ]
            found += _choose(engine, tokenizer, stretch, sound, languages[1])
            tell(len(found), len(part))
        return found

    with tqdm(total=len(sentences), unit="sentence", desc=f"{real} to {other}", disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.update(done - bar.n)

        pieces = tokenizer.encode_batch(sentences)
        if workers == 1:
            return work(pieces, show)
        return share_out(work, pieces, workers=workers, size=len, progress=show)


def _is_sound(token_ids: Sequence[int]) -> bool:
    """Whether a hypothesis has an end, something before it, and no unknown piece."""
    return len(token_ids) > 1 and token_ids[-1] == Tokenizer.eos_id and Tokenizer.unk_id not in token_ids


def _choose(
    engine: DecodingEngine,
    tokenizer: Tokenizer,
    sentences: Sequence[Ids],
    candidates: Sequence[Sequence[Hypothesis]],
    back: int,
) -> list[Made | None]:
    """Takes of the candidates of each sentence the one that both directions like best; None where there is none."""
    pairs = [
        ([back, *candidate.token_ids], [*sentence, tokenizer.eos_id])
        for sentence, all_of in zip(sentences, candidates, strict=True)
        for candidate in all_of
    ]
    ways_back = iter(score_all(engine, pairs, alpha=1.0))
    made: list[Made | None] = []
    for all_of in candidates:
        totals = [candidate.score + WAY_BACK * next(ways_back).score for candidate in all_of]
        best = max(range(len(totals)), key=totals.__getitem__, default=None)
        made.append(None if best is None else Made(tokenizer.decode(all_of[best].token_ids).text, totals[best]))
    return made


def _surest(
    sentences: Sequence[str], made: Sequence[Made | None], keep: float, cleaning: CleaningConfig
) -> list[tuple[str, str]]:
    """Returns the pairs of which both directions are surest, in the order of the sentences."""
    sound = [
        (sentence, each)
        for sentence, each in zip(sentences, made, strict=True)
        if each is not None and fault(sentence, each.text, cleaning) is None and _folded(each.text) != _folded(sentence)
    ]
    if not sound:
        return []
    least = float(np.quantile([each.score for _, each in sound], 1 - keep))
    return [(sentence, each.text) for sentence, each in sound if each.score >= least]


def _write(path: Path, lines: Sequence[str]) -> None:
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as stream:
        stream.write("".join(f"{line}\n" for line in lines).encode())
