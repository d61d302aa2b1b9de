"""Teaches a checkpoint characters that its vocabulary lacks: a piece for each, and nothing else of the model changes.

What no piece spells is unknown to the model, and a word that begins with it, as "Äpfel", becomes an unknown piece and
"pfel". Each character gets a row of the embedding table, which begins as that of the unknown piece; the rows are
learnt from the pairs that have such characters, and as many that have none, so that a row also learns when to be
silent. All other weights stay, so everything else is said as before.

Source: the idea of learning rows alone for new words is that of Artetxe et al. 2020, section 2, for a new language.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from training.cleaning import clean_line, fault
from training.config import ExperimentConfig, load_config
from training.corpus import read_pairs
from training.model_card import model_card
from training.optimizer import choose_precision
from training.tokenizer import with_characters
from training.vocabulary_transfer import transfer_vocabulary
from translator.batch import pad
from translator.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from translator.errors import ConfigError, CorpusError
from translator.model import TranslationModel
from translator.tokenizer import Tokenizer

LEAST_SEEN = 20  # times that a character stands in the corpora, or it is not taught
MOST_PAIRS = 400  # of each character and direction
OTHERS = 0.5  # pairs with none of them for each with one
SAMPLE = 0.03  # of the pairs that the vocabulary spells, to draw these from
PASSES, BATCH, LEARNING_RATE = 4, 48, 5e-3
HELD_BACK = 10  # every so manieth pair, to judge by

Text = tuple[str, str]
"""A text and its language."""


class Example(NamedTuple):
    """A pair of one direction as ids; each with eos, the source with its language token."""

    source: list[int]
    target: list[int]


class CharacterReport(NamedTuple):
    """What was taught, and how it went on pairs that were held back.

    Args:
        characters: In the order of their ids.
        right: Share of the places in targets where one of them is the likeliest piece of all, as it should be.
        examples: Pairs learnt from, of one direction each.
    """

    characters: str
    right: float
    examples: int


def teach_characters(
    source: Path, destination: Path, config_path: Path, *, characters: str | None = None, seed: int = 1
) -> CharacterReport:
    """Writes a checkpoint that knows more characters; scores, calibrations and shortlist are dropped: make them anew.

    Args:
        source: The checkpoint, with float weights.
        destination: Replaced as a whole once the new one is complete.
        config_path: Its corpora are read, in both directions where it says so.
        characters: To be taught; None is all that the corpora have at least 20 times and the vocabulary lacks.
        seed: Of the order in which pairs are read.

    Raises:
        CheckpointError: `source` cannot be read or `destination` not be written.
        ConfigError: The experiment cannot be used, or the vocabulary has all the characters.
        CorpusError: A corpus cannot be read, or has none of the characters.
    """
    checkpoint, config, random = load_checkpoint(source), load_config(config_path), Random(seed)
    pairs = list(_pairs(config, checkpoint.tokenizer, random))
    wanted = _unknown(pairs, checkpoint.tokenizer) if characters is None else characters
    wanted = "".join(dict.fromkeys(each for each in wanted if not _is_known(each, checkpoint.tokenizer)))
    if not wanted:
        raise ConfigError(f"The vocabulary of {source} has a piece for every character that is to be taught.")
    tokenizer = Tokenizer.from_bytes(with_characters(checkpoint.tokenizer.to_bytes(), wanted))
    examples = _examples(pairs, wanted, tokenizer, random)
    learnt = [example for number, example in enumerate(examples) if number % HELD_BACK]
    if not learnt:
        raise CorpusError(f"The corpora of {config_path} have none of {wanted!r}: there is nothing to learn from.")
    sizes = replace(checkpoint.manifest.model, vocab_size=tokenizer.vocab_size)
    model = TranslationModel.from_config(replace(sizes, dropout=0.0))
    model.load_state_dict(transfer_vocabulary(checkpoint.model.state_dict(), checkpoint.tokenizer, tokenizer))
    first = checkpoint.tokenizer.vocab_size
    _learn(model, learnt, first=first, seed=seed)
    right = _judge(model, examples[::HELD_BACK], first=first)
    manifest = replace(checkpoint.manifest, model=sizes, calibrations=(), scores=())
    taught = Checkpoint.of(manifest, model, tokenizer)
    save_checkpoint(destination, taught, card=model_card(manifest))
    return CharacterReport(wanted, right, len(learnt))


def _pairs(config: ExperimentConfig, tokenizer: Tokenizer, random: Random) -> Iterator[tuple[Text, Text]]:
    """All pairs with a character that no piece spells and some of the others, once for each direction."""
    for corpus in config.corpora:
        for raw in read_pairs(corpus.source_file, corpus.target_file):
            if tokenizer.letters.issuperset("".join(raw)) and random.random() >= SAMPLE:
                continue
            texts = clean_line(raw[0]), clean_line(raw[1])
            if fault(*texts, config.cleaning) is not None:
                continue
            one, other = (texts[0], corpus.source), (texts[1], corpus.target)
            yield one, other
            if corpus.both_directions:
                yield other, one


def _is_known(character: str, tokenizer: Tokenizer) -> bool:
    return character.isspace() or character in tokenizer.letters


def _unknown(pairs: Iterable[tuple[Text, Text]], tokenizer: Tokenizer) -> str:
    """Characters that stand often enough in the texts and that no piece spells, the most frequent first."""
    of_sources, of_targets = Counter[str](), Counter[str]()
    for (source, _), (target, _) in pairs:
        of_sources.update(source)
        of_targets.update(target)
    counts = of_sources | of_targets  # the greater of the two: a pair that is taught both ways is there twice
    often = [each for each, count in counts.most_common() if count >= LEAST_SEEN]
    return "".join(each for each in often if not _is_known(each, tokenizer))


def _examples(pairs: Sequence[tuple[Text, Text]], wanted: str, tokenizer: Tokenizer, random: Random) -> list[Example]:
    """Pairs with such a character, no more of any than `MOST_PAIRS` of each direction, and some others, shuffled."""
    counts, chosen, others = Counter[tuple[str, str, str]](), list[tuple[Text, Text]](), list[tuple[Text, Text]]()
    for pair in random.sample(pairs, len(pairs)):
        (source, one), (target, other) = pair
        found = [(each, one, other) for each in wanted if each in source or each in target]
        if not found:
            others.append(pair)
        elif any(counts[each] < MOST_PAIRS for each in found):
            counts.update(found)
            chosen.append(pair)
    chosen += others[: int(OTHERS * len(chosen))]
    random.shuffle(chosen)
    return [
        Example(
            [tokenizer.language_id(language), *tokenizer.encode(source), Tokenizer.eos_id],
            [*tokenizer.encode(target), Tokenizer.eos_id],
        )
        for (source, _), (target, language) in chosen
    ]


def _learn(model: TranslationModel, examples: list[Example], *, first: int, seed: int) -> None:
    """Learns the rows from `first` on, and their biases."""
    random, taught = Random(seed), (model.embedding.weight, model.output_bias)
    fast = choose_precision("auto", torch.device("cpu")) == "bfloat16"
    model.train().requires_grad_(False)
    for parameter in taught:
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam(taught, lr=LEARNING_RATE)
    ordered = sorted(examples, key=lambda each: len(each.target))
    batches = [ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH)]
    steps = PASSES * len(batches)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, max(1, steps))
    progress = tqdm(total=steps, unit="batch", disable=None)
    for _ in range(PASSES):
        random.shuffle(batches)
        for batch in batches:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
                logits, wanted = _said(model, batch)
            nn.functional.cross_entropy(logits.float(), wanted).backward()
            for parameter in taught:
                if parameter.grad is not None:
                    parameter.grad[:first] = 0  # Adam moves nothing whose gradient was always 0
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            progress.update()
    model.eval()


def _said(model: TranslationModel, batch: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """What the model says at each place of the targets, [N, V], and what stands there, [N]."""
    source = pad([example.source for example in batch], Tokenizer.pad_id)
    given = pad([[Tokenizer.bos_id, *example.target[:-1]] for example in batch], Tokenizer.pad_id)
    target = pad([example.target for example in batch], Tokenizer.pad_id)
    return model.logits(model(source, given).readout[target.mask]), target.ids[target.mask]


@torch.no_grad()
def _judge(model: TranslationModel, examples: Sequence[Example], *, first: int) -> float:
    right = places = 0
    for start in range(0, len(examples), BATCH):
        logits, wanted = _said(model, examples[start : start + BATCH])
        new = wanted >= first
        right += int((logits[new].argmax(dim=1) == wanted[new]).sum())
        places += int(new.sum())
    return right / places if places else 0.0
