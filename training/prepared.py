"""Text made ready to learn from: cleaned, tokenised, in every dress; and kept in a folder, if that is wanted.

Reading and cleaning half a million pairs takes a processor minutes, which a rented GPU need not wait for: a folder made
on one machine is trained on at another, without the corpora (but with the checkpoint of `start_from`, if there is one).
It holds their whole text, as pieces that anybody can turn back.

A folder: `text.json` (what it was made of, and how), `pieces.safetensors`, `tokenizer.model`. Swapped in whole,
verified when it is read, never a pickle.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from training.augmentation import AugmentationConfig
from training.config import ExperimentConfig, TokenizerConfig
from training.corpus import load_corpus
from training.dataset import Dataset, DirectedCorpus, Ids
from training.examples import build_dataset
from training.start import choose_tokenizer
from training.validation import HeldOut, read_sets, tokenise_sets
from translator.checkpoint import Checkpoint
from translator.errors import CheckpointError, CorpusError
from translator.folders import readable, replace_folder
from translator.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

FORMAT = 2
TEXT, PIECES, TOKENIZER = "text.json", "pieces.safetensors", "tokenizer.model"
DECIDING = ("corpora", "cleaning", "augmentation", "tokenizer", "start_from")


@dataclass(frozen=True)
class PreparedText:
    """What a run learns from and is judged by.

    Args:
        reports: What was dropped of each corpus, in the order of the experiment.
        tokenizer: Of all of it.
        dataset: The examples.
        held_out: The validation sets.
    """

    reports: tuple[str, ...]
    tokenizer: Tokenizer
    dataset: Dataset
    held_out: list[HeldOut]


def prepare_text(config: ExperimentConfig, checkpoint: Checkpoint | None) -> PreparedText:
    """Reads, cleans and tokenises what `config` names, with the tokenizer of `checkpoint` or one that is learned.

    Raises:
        ConfigError: The experiment asks for languages that the checkpoint does not know.
        CorpusError: A file cannot be used, or nothing is left of it.
    """
    held_out = read_sets(config.validation)  # first: what is wrong with it is told before minutes of reading
    texts = [load_corpus(corpus, config.cleaning) for corpus in config.corpora]
    tokenizer = choose_tokenizer(config, texts, checkpoint)
    dataset = build_dataset(texts, tokenizer, max_tokens=config.cleaning.max_tokens, augmentation=config.augmentation)
    reports = tuple(str(text.report) for text in texts)
    return PreparedText(reports, tokenizer, dataset, tokenise_sets(held_out, tokenizer))


def check_destination(folder: Path) -> None:
    """Refuses to replace what is no prepared text: `save_prepared` replaces the folder as a whole.

    Raises:
        CorpusError: Something else is there.
    """
    held = {file.name for file in folder.iterdir()} if folder.is_dir() else {""} if folder.exists() else set()
    if held - {TEXT, PIECES, TOKENIZER} or (held and TEXT not in held):
        raise CorpusError(f"{folder} is there and is no prepared text, which would take its place: name a new folder.")


def save_prepared(folder: Path, text: PreparedText, config: ExperimentConfig) -> None:
    """Writes prepared text atomically.

    Raises:
        CorpusError: It could not be written; what was there before is as it was.
    """
    numbers, arrays = dict[int, int](), dict[str, NDArray[Any]]()
    for corpus in text.dataset.corpora:
        for lines in (corpus.sources, corpus.targets):
            if id(lines) not in numbers:
                numbers[id(lines)] = number = len(numbers)
                arrays[f"pieces.{number}"] = _small(np.concatenate([np.empty(0, dtype=np.int32), *lines]))
                arrays[f"lengths.{number}"] = _small(np.array([len(ids) for ids in lines], dtype=np.int32))
    for number, corpus in enumerate(text.dataset.corpora):
        if corpus.guides is not None:
            arrays[f"guides.{number}"] = _small(np.concatenate([np.empty((0, 2), dtype=np.int32), *corpus.guides]))
    corpora = [
        {
            "language_id": corpus.language_id,
            "sources": numbers[id(corpus.sources)],
            "targets": numbers[id(corpus.targets)],
            "weight": corpus.weight,
            "epochs": corpus.epochs,
        }
        for corpus in text.dataset.corpora
    ]
    contents = {PIECES: save(arrays), TOKENIZER: text.tokenizer.to_bytes()}
    table = {
        "format": FORMAT,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        "settings": _settings(config),
        "reports": text.reports,
        "corpora": corpora,
        "held_out": [asdict(held) for held in text.held_out],
    }
    try:
        with replace_folder(folder) as fresh:
            for name, content in contents.items():
                (fresh / name).write_bytes(content)
            (fresh / TEXT).write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise CorpusError(f"The prepared text {folder} could not be written ({error}); make room, try again.") from None


def load_prepared(folder: Path, config: ExperimentConfig) -> PreparedText:
    """Reads prepared text, if it was made as `config` wants it; file names count, the folders they lie in do not.

    Raises:
        CorpusError: There is none, it is damaged, or it was made with other settings.
    """
    place = readable(folder)
    if not (place / TEXT).is_file():
        raise CorpusError(f"There is no prepared text in {folder}; make it with carousel prepare.")
    try:
        table: dict[str, Any] = json.loads((place / TEXT).read_text(encoding="utf-8"))
        if table["format"] != FORMAT:
            raise CorpusError(f"{folder} has format {table['format']}, wanted {FORMAT}; prepare it anew.")
        # A dress that came later was not worn.
        worn = asdict(AugmentationConfig()) | table["settings"]["augmentation"]
        if difference := _difference(table["settings"] | {"augmentation": worn}, _settings(config)):
            raise CorpusError(f"{folder} was prepared with {difference}; prepare it anew, or train without --prepared.")
        contents = {name: (place / name).read_bytes() for name in (PIECES, TOKENIZER)}
        for name, content in contents.items():
            if hashlib.sha256(content).hexdigest() != table["sha256"][name]:
                raise ValueError(f"{name} is not what was written beside {TEXT}")
        arrays = load(contents[PIECES])
        count = sum(name.startswith("lengths.") for name in arrays)
        lines = [_lines(arrays[f"pieces.{number}"], arrays[f"lengths.{number}"]) for number in range(count)]
        guides = [arrays.get(f"guides.{number}") for number in range(len(table["corpora"]))]
        dataset = Dataset([_corpus(entry, lines, told) for entry, told in zip(table["corpora"], guides, strict=True)])
        held_out = [HeldOut(**entry) for entry in table["held_out"]]
        tokenizer = Tokenizer.from_bytes(contents[TOKENIZER])
    except (CheckpointError, OSError, SafetensorError, ValueError, TypeError, KeyError, IndexError) as error:
        raise CorpusError(f"The prepared text in {folder} is damaged ({error}); prepare it anew.") from None
    logger.info("prepared text of %s: %s examples", folder, f"{len(dataset):,}")
    return PreparedText(tuple(table["reports"]), tokenizer, dataset, held_out)


def _settings(config: ExperimentConfig) -> dict[str, Any]:
    """All that decides what the text becomes; of files the names only, as other machines keep them elsewhere."""
    everything = asdict(config)
    if config.start_from is None and config.tokenizer is None:
        everything["tokenizer"] = asdict(TokenizerConfig())
    validation = {key: everything["validation"][key] for key in ("sentences", "sets")}
    deciding = {key: everything[key] for key in DECIDING} | {"validation": validation}
    settings: dict[str, Any] = json.loads(json.dumps(deciding, default=lambda path: path.name))
    return settings


def _difference(had: Any, wanted: Any, where: str = "") -> str:
    """Names the first setting in which two differ, and both its values; nothing if there is none."""
    if isinstance(had, dict) and isinstance(wanted, dict):
        keys = [(key, f"{where}.{key}" if where else key) for key in sorted(had.keys() | wanted.keys())]
        found = (_difference(had.get(key), wanted.get(key), place) for key, place in keys)
    elif isinstance(had, list) and isinstance(wanted, list) and len(had) == len(wanted):
        pairs = enumerate(zip(had, wanted, strict=True), start=1)
        found = (_difference(one, other, f"{where} {number}") for number, (one, other) in pairs)
    else:
        return "" if had == wanted else f"{where} = {json.dumps(had)}, wanted {json.dumps(wanted)}"
    return next(filter(None, found), "")


def _small(numbers: NDArray[np.int32]) -> NDArray[np.int16] | NDArray[np.int32]:
    return numbers.astype(np.int16) if numbers.max(initial=0) < 2**15 else numbers


def _lines(pieces: NDArray[Any], lengths: NDArray[Any]) -> list[Ids]:
    ends = np.cumsum(lengths, dtype=np.int64)
    if int(ends[-1] if len(ends) else 0) != len(pieces):
        raise ValueError("lengths and pieces do not fit")
    return np.split(pieces.astype(np.int32), ends[:-1]) if len(ends) else []


def _corpus(entry: Mapping[str, Any], lines: Sequence[list[Ids]], told: NDArray[Any] | None) -> DirectedCorpus:
    sources, targets = lines[entry["sources"]], lines[entry["targets"]]
    guides = None if told is None else _lines(told, np.array([len(ids) for ids in targets], dtype=np.int32))
    return DirectedCorpus(entry["language_id"], sources, targets, entry["weight"], entry["epochs"], guides)
