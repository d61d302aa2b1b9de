"""Learns which pieces a source may become: the model reads pairs that are known, and shows where it looks.

Each target piece is counted for the source pieces it attended to, with the attention as the weight. No aligner is
needed, and what is learned is of the very pieces the model writes.

What was left out is told by sentences that were not counted: how many of their target pieces are in their list.

Source: L'Hostis et al. 2016, "Vocabulary Selection Strategies for Neural Machine Translation", section 3.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from training.batching import Examples
from training.config import load_config
from training.corpus import load_corpus
from training.dataset import Dataset
from training.examples import build_dataset
from training.model_card import model_card
from training.optimizer import choose_precision
from translator.checkpoint import load_checkpoint, save_checkpoint
from translator.errors import ConfigError, CorpusError
from translator.model import TranslationModel
from translator.shortlist import LanguageShortlist, Shortlist
from translator.tokenizer import Tokenizer

FREQUENT = 100  # pieces of a language that every sentence may use, if nothing else is said
MOST_BESIDE = 24  # pieces beside one source piece
SHARE_BESIDE = 0.99  # of a source piece's attention that they must have had
LEAST_SEEN = 5  # times a source piece was read, or it is unknown
LEAST_ATTENTION = 0.1  # of a target piece, or it does not count
MOST_PAIRS = 40_000  # read of each direction of a corpus
HELD_BACK = 0.01  # of them, to judge by
BATCH_TOKENS = 16_000
LARGEST_VOCABULARY = 2**16


class ShortlistReport(NamedTuple):
    """How a shortlist does on pairs it was not learned from.

    Args:
        covered: Share of the target pieces that are among their sentence's.
        pieces: Of a sentence, on average, of those that are not translated with the whole vocabulary.
        whole: Share of the sentences that are.
    """

    covered: float
    pieces: float
    whole: float


def add_shortlist(source: Path, destination: Path, config_path: Path, *, frequent: int = FREQUENT) -> ShortlistReport:
    """Writes a checkpoint with a shortlist that is learned from the corpora of an experiment, on the processor.

    Calibrations are dropped: they speak of shares of the whole vocabulary.

    Args:
        source: The checkpoint.
        destination: Replaced as a whole once the new one is complete.
        config_path: Its corpora are read, and cleaned as it says.
        frequent: Pieces of a target language, those met most often, that every sentence may use.

    Raises:
        CheckpointError: `source` cannot be read or `destination` not be written.
        ConfigError: The experiment cannot be used, or has directions that the model was not taught; `frequent` is
            below 1.
        CorpusError: A corpus cannot be read, or there is too little of it.
    """
    if frequent < 1:
        raise ConfigError(f"{frequent} frequent pieces were asked for, wanted at least 1.")
    checkpoint = load_checkpoint(source)
    config = load_config(config_path)
    if strange := sorted(set(config.directions) - set(checkpoint.manifest.directions)):
        told = ", ".join(f"{one} to {other}" for one, other in strange)
        raise ConfigError(f"{config_path} has text from {told}, which {checkpoint.manifest.name} was not taught.")
    texts = [load_corpus(corpus, config.cleaning) for corpus in config.corpora]
    dataset = build_dataset(texts, checkpoint.tokenizer, max_tokens=config.cleaning.max_tokens)
    shortlist, report = learn_shortlist(checkpoint.model, checkpoint.tokenizer, dataset, frequent=frequent)
    manifest = replace(checkpoint.manifest, calibrations=())
    taught = replace(checkpoint, manifest=manifest, shortlist=shortlist)
    save_checkpoint(destination, taught, card=model_card(manifest))
    return report


def learn_shortlist(
    model: TranslationModel, tokenizer: Tokenizer, dataset: Dataset, *, frequent: int = FREQUENT, seed: int = 1
) -> tuple[Shortlist, ShortlistReport]:
    """Learns a shortlist and judges it.

    Raises:
        CorpusError: The dataset is empty, or the vocabulary too large.
    """
    if not 0 < tokenizer.vocab_size <= LARGEST_VOCABULARY:
        raise CorpusError(
            f"The vocabulary has {tokenizer.vocab_size:,} pieces, a shortlist takes up to {LARGEST_VOCABULARY:,}."
        )
    chosen, held = _drawn(dataset, np.random.default_rng(seed))
    if not len(chosen) or not len(held):
        raise CorpusError("There are too few pairs to learn a shortlist from: give a corpus of some hundreds.")
    counts = _Counts(tokenizer.vocab_size)
    for examples in tqdm(list(_batches(dataset, chosen)), unit="batch", disable=None):
        counts.add(model, dataset, examples)
    always = Tokenizer.eos_id, Tokenizer.unk_id
    languages = {language: counts.of(language, frequent, *always) for language in counts.languages}
    forbidden = [Tokenizer.pad_id, Tokenizer.bos_id, *map(tokenizer.language_id, tokenizer.languages)]
    shortlist = Shortlist(languages, forbidden_ids=forbidden)
    return shortlist, judge_shortlist(shortlist, dataset, held)


def judge_shortlist(shortlist: Shortlist, dataset: Dataset, examples: Examples) -> ShortlistReport:
    """Says how a shortlist does on these examples."""
    covered, all_targets, sizes, whole = 0, 0, list[int](), 0
    for example in examples:
        batch = dataset.batch(np.array([example]))
        targets = batch.target_output.ids[0].numpy()
        pieces = shortlist.pieces(batch.source.ids[0].tolist())
        all_targets += len(targets)
        if pieces is None:
            whole, covered = whole + 1, covered + len(targets)
        else:
            sizes.append(len(pieces))
            covered += int(np.isin(targets, pieces).sum())
    return ShortlistReport(covered / all_targets, float(np.mean(sizes or [0])), whole / len(examples))


class _Counts:
    """Which target pieces each source piece was looked at for, and how often each piece was met."""

    def __init__(self, vocab_size: int) -> None:
        self._vocab_size = vocab_size
        self._keys: dict[int, list[NDArray[np.int64]]] = {}  # source piece * V + target piece, by language
        self._weights: dict[int, list[NDArray[np.float32]]] = {}
        self._sources: dict[int, NDArray[np.int64]] = {}  # [V]
        self._targets: dict[int, NDArray[np.int64]] = {}  # [V]

    @property
    def languages(self) -> list[int]:
        return sorted(self._keys)

    @torch.inference_mode()
    def add(self, model: TranslationModel, dataset: Dataset, examples: Examples) -> None:
        """Reads a batch, all of one target language."""
        source, target_input, target = dataset.batch(examples)
        fast = choose_precision("auto", torch.device("cpu")) == "bfloat16"
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
            weights = model(source, target_input).attention_weights  # [B, T, S]
        language, size = int(source.ids[0, 0]), self._vocab_size
        pieces = source.mask & (source.ids != Tokenizer.eos_id)
        pieces[:, 0] = False  # the language token
        counted = (weights >= LEAST_ATTENTION) & target.mask[:, :, None] & pieces[:, None]
        rows, steps, positions = counted.nonzero().unbind(dim=1)
        keys = source.ids[rows, positions] * size + target.ids[rows, steps]
        self._keys.setdefault(language, []).append(keys.numpy())
        self._weights.setdefault(language, []).append(weights[rows, steps, positions].float().numpy())
        nothing = np.zeros(size, dtype=np.int64)
        for met, ids in ((self._sources, source.ids[pieces]), (self._targets, target.ids[target.mask])):
            met[language] = met.get(language, nothing) + np.bincount(ids.numpy(), minlength=size)

    def of(self, language: int, count: int, *always: int) -> LanguageShortlist:
        """Makes the list of one target language; every sentence may use so many frequent pieces, and `always`."""
        size = self._vocab_size
        keys, places = np.unique(np.concatenate(self._keys[language]), return_inverse=True)
        weights = np.bincount(places, weights=np.concatenate(self._weights[language]))
        sources = keys // size
        order = np.lexsort((-weights, sources))  # of each source piece the heaviest first
        sources, targets, weights = sources[order], keys[order] % size, weights[order]
        totals = np.bincount(sources, weights=weights, minlength=size)
        starts = np.searchsorted(sources, np.arange(size + 1))
        rank = np.arange(len(sources)) - starts[sources]
        before = np.concatenate([[0.0], np.cumsum(weights)])
        share_before = (before[:-1] - before[starts[sources]]) / totals[sources]
        known = self._sources[language] >= LEAST_SEEN
        kept = known[sources] & (rank < MOST_BESIDE) & ((share_before < SHARE_BESIDE) & ((weights > 1) | (rank < 4)))
        # A known piece that nobody looked at is still known.
        silent = np.flatnonzero(known & ~np.isin(np.arange(size), sources[kept]))
        sources = np.concatenate([sources[kept], silent])
        targets = np.concatenate([targets[kept], np.full(len(silent), always[0])])
        order = np.lexsort((targets, sources))
        met = self._targets[language]
        frequent = np.argsort(-met, kind="stable")[:count]
        return LanguageShortlist(
            np.union1d(frequent[met[frequent] > 0], always),
            np.searchsorted(sources[order], np.arange(size + 1)),
            targets[order],
        )


def _drawn(dataset: Dataset, random: np.random.Generator) -> tuple[Examples, Examples]:
    """Draws examples of every direction, and holds some back."""
    chosen, held = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for start, corpus in zip(dataset.starts, dataset.corpora, strict=False):
        drawn = start + random.permutation(len(corpus.sources))[:MOST_PAIRS]
        back = max(1, int(HELD_BACK * len(drawn))) if len(drawn) > 1 else 0
        held.append(drawn[:back])
        chosen.append(drawn[back:])
    return np.concatenate(chosen), np.concatenate(held)


def _batches(dataset: Dataset, examples: Examples) -> Iterator[Examples]:
    """Cuts examples into batches of one target language and of like lengths."""
    languages = np.repeat([corpus.language_id for corpus in dataset.corpora], np.diff(dataset.starts))[examples]
    longest = np.maximum(dataset.source_lengths, dataset.target_lengths)[examples]
    order = np.lexsort((longest, languages))
    start = 0
    for end in range(1, len(order) + 1):
        last = order[end] if end < len(order) else None
        wider = last is None or languages[last] != languages[order[start]]
        if wider or longest[last] * (end - start + 1) > BATCH_TOKENS:
            yield examples[order[start:end]]
            start = end
