"""How good the model is now: loss and BLEU on held-out text."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import sacrebleu
import torch

from training.batching import plan_epoch
from training.cleaning import clean_line
from training.config import ValidationConfig
from training.corpus import read_pairs
from training.dataset import Dataset, DirectedCorpus, source_ids
from training.loss import token_loss
from translator.config import DecodingOptions
from translator.decoding import decode_all
from translator.errors import CorpusError
from translator.model import TranslationModel
from translator.pytorch_engine import PyTorchEngine
from translator.tokenizer import Tokenizer


@dataclass(frozen=True)
class HeldOut:
    """Held-out text of one direction.

    Args:
        name: "en-de", for logs.
        language_id: The token that asks for the target language.
        sources: Piece ids of the normalised sources.
        targets: Piece ids of the normalised references.
        references: As they stand in the file.
    """

    name: str
    language_id: int
    sources: list[list[int]]
    targets: list[list[int]]
    references: list[str]


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Args:
        loss: Negative log-likelihood of a target token, in nats, without smoothing.
        bleu: sacreBLEU of each direction, 13a, cased.
    """

    loss: float
    bleu: dict[str, float]

    @property
    def mean_bleu(self) -> float:
        """What checkpoints are chosen by: the mean over directions."""
        return sum(self.bleu.values()) / len(self.bleu)


class HeldOutText(NamedTuple):
    """A validation set as text: pairs with text on both sides."""

    name: str
    target: str
    pairs: list[tuple[str, str]]


def read_sets(config: ValidationConfig) -> list[HeldOutText]:
    """Reads the validation sets.

    Raises:
        CorpusError: A file cannot be used, or none of its pairs has text on both sides.
    """
    sets = []
    for files in config.sets:
        pairs = islice(read_pairs(files.source_file, files.target_file), config.sentences or None)
        usable = [(source, target) for source, target in pairs if source.strip() and target.strip()]
        if not usable:
            raise CorpusError(f"{files.source_file} holds no pair to validate on; give one with text on both sides.")
        sets.append(HeldOutText(f"{files.source}-{files.target}", files.target, usable))
    return sets


def tokenise_sets(sets: Sequence[HeldOutText], tokenizer: Tokenizer) -> list[HeldOut]:
    """Makes pieces of validation sets, cleaned; references stay as they are."""
    return [
        HeldOut(
            name,
            tokenizer.language_id(target),
            sources=tokenizer.encode_batch([clean_line(source) for source, _ in pairs]),
            targets=tokenizer.encode_batch([clean_line(reference) for _, reference in pairs]),
            references=[reference for _, reference in pairs],
        )
        for name, target, pairs in sets
    ]


def validate(
    model: TranslationModel, tokenizer: Tokenizer, sets: Sequence[HeldOut], options: DecodingOptions
) -> Validation:
    """Measures a model that is in evaluation mode; draws no random number."""
    bleu = {held_out.name: _bleu(model, tokenizer, held_out, options) for held_out in sets}
    return Validation(_loss(model, sets), bleu)


def _bleu(model: TranslationModel, tokenizer: Tokenizer, held_out: HeldOut, options: DecodingOptions) -> float:
    engine = PyTorchEngine(model, pad_id=tokenizer.pad_id)
    sources = [source_ids(ids, held_out.language_id).tolist() for ids in held_out.sources]
    results = decode_all(engine, tokenizer, sources, options=options, batch_size=256)
    texts = [tokenizer.decode(found[0].token_ids).text if found else "" for found in results]
    return sacrebleu.corpus_bleu(texts, [held_out.references]).score


@torch.no_grad()
def _loss(model: TranslationModel, sets: Sequence[HeldOut]) -> float:
    def arrays(rows: list[list[int]]) -> list[np.ndarray]:
        return [np.array(ids, dtype=np.int32) for ids in rows]

    corpora = [DirectedCorpus(held.language_id, arrays(held.sources), arrays(held.targets)) for held in sets]
    dataset = Dataset(corpora)
    device = model.output_bias.device
    total, tokens = 0.0, 0
    for examples in plan_epoch(dataset, batch_tokens=4000, seed=0, epoch=0):
        batch = dataset.batch(examples).to(device)
        readout = model(batch.source, batch.target_input).readout
        output = batch.target_output
        losses = token_loss(
            readout, model.embedding.weight, model.output_bias, output.ids, output.mask, label_smoothing=0.0
        )
        total += float(losses.negative_log_likelihood)
        tokens += int(output.lengths.sum())
    return total / tokens
