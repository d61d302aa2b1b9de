"""The checkpoint: a folder that holds a whole translator, verified when it is read, never a pickle.

    manifest.json       what it is: sizes, languages, hashes, training, scores, licence
    model.safetensors   the weights
    tokenizer.model     the SentencePiece model
    shortlist.safetensors  which pieces a sentence may be translated with; may be missing
    README.md           the model card

Weights may be stored as float32, bfloat16 or int8 (a scale for each row); they are float32 once loaded.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError

from translator.confidence import Calibration, Evidence
from translator.config import DecodingOptions, ModelConfig
from translator.errors import CheckpointError, ConfigError
from translator.folders import readable, replace_folder
from translator.shortlist import Shortlist
from translator.tokenizer import Tokenizer
from translator.weights import (
    StoredType,
    Weights,
    expected_shapes,
    pack_weights,
    read_weights,
    unpack_weights,
    write_weights,
)

if TYPE_CHECKING:  # beside torch, which only a model that trains, or runs without the kernels, needs
    from translator.model import TranslationModel

FORMAT = "carousel-checkpoint"
FORMAT_VERSION = 1
DEFAULT_MAX_SOURCE_TOKENS, LEAST_MAX_SOURCE_TOKENS = 120, 40
MANIFEST, WEIGHTS, TOKENIZER, CARD = "manifest.json", "model.safetensors", "tokenizer.model", "README.md"
SHORTLIST = "shortlist.safetensors"
_TEXTS = ("name", "stored_type", "licence", "weights_sha256", "tokenizer_sha256")
_LISTS = ("languages", "directions", "scores", "credits")


@dataclass(frozen=True, kw_only=True)
class Score:
    """One measured figure and how it was come by.

    Args:
        test_set: Name of the text that was translated.
        source: Language code.
        target: Language code.
        metric: "BLEU", "chrF" or "TER".
        value: As sacreBLEU gives it.
        signature: sacreBLEU's; a score without it means nothing.
    """

    test_set: str
    source: str
    target: str
    metric: Literal["BLEU", "chrF", "TER"]
    value: float
    signature: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a checkpoint says of itself.

    Args:
        name: Of the model.
        model: Its sizes.
        languages: Codes, sorted.
        directions: (source, target) pairs it was taught.
        decoding: Options chosen on held-out text, the default of every search.
        stored_type: How the weights lie in the file.
        training: Recipe and data, free in form.
        scores: Measured figures.
        calibrations: How sure its translations are, a record a direction.
        licence: Of the weights.
        credits: Of the data.
        weights_sha256: Hash of the weights file; filled in when saved.
        tokenizer_sha256: Hash of the tokenizer file; filled in when saved.
        shortlist_sha256: Hash of the shortlist file, empty if there is none; filled in when saved.
        format: Always "carousel-checkpoint".
        format_version: Of this layout; a newer one is refused.
    """

    name: str
    model: ModelConfig
    languages: tuple[str, ...]
    directions: tuple[tuple[str, str], ...]
    decoding: DecodingOptions = field(default_factory=DecodingOptions)
    stored_type: StoredType = "float32"
    training: Mapping[str, Any] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    licence: str = "unspecified"
    credits: tuple[str, ...] = ()
    weights_sha256: str = ""
    tokenizer_sha256: str = ""
    shortlist_sha256: str = ""
    format: str = FORMAT
    format_version: int = FORMAT_VERSION

    @property
    def max_source_tokens(self) -> int:
        """Pieces of the longest sentence that is translated whole; of longer ones the model has read too few.

        All that it was taught if the manifest does not say what is usual, else the longest usual ones, but no fewer
        than `LEAST_MAX_SOURCE_TOKENS`.
        """
        taught = int(dict(self.training.get("cleaning", {})).get("max_tokens") or DEFAULT_MAX_SOURCE_TOKENS)
        usual = int(self.training.get("usual_source_tokens", taught))
        return min(taught, max(usual, LEAST_MAX_SOURCE_TOKENS))

    def calibration(self, source: str, target: str) -> Calibration | None:
        """Returns that of one direction, if it was ever fitted."""
        found = (each for each in self.calibrations if (each.source, each.target) == (source, target))
        return next(found, None)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint.

    Args:
        manifest: What it says of itself.
        weights: float32.
        tokenizer: Its own.
        shortlist: Which pieces a sentence may be translated with; None is all of them.
    """

    manifest: Manifest
    weights: Weights
    tokenizer: Tokenizer
    shortlist: Shortlist | None = None

    @classmethod
    def of(
        cls, manifest: Manifest, model: "TranslationModel", tokenizer: Tokenizer, shortlist: Shortlist | None = None
    ) -> "Checkpoint":
        """Makes one of a model's present weights, which are copied."""
        weights = {name: weight.float().cpu().numpy().copy() for name, weight in model.state_dict().items()}
        return cls(manifest, weights, tokenizer, shortlist)

    @cached_property
    def model(self) -> "TranslationModel":
        """The weights as PyTorch's model, in evaluation mode; made once, sharing their memory until it is moved."""
        import torch

        from translator.model import TranslationModel

        with torch.device("meta"):  # sizes only: the weights are about to come
            model = TranslationModel.from_config(self.manifest.model)
        model.load_state_dict({name: torch.from_numpy(weight) for name, weight in self.weights.items()}, assign=True)
        return model.eval()


def save_checkpoint(path: Path, checkpoint: Checkpoint, *, card: str) -> None:
    """Writes a checkpoint; what was at `path` before is replaced only once the new one is complete.

    Args:
        path: The folder.
        checkpoint: Its manifest says how weights are stored; its hashes are filled in here.
        card: The model card, Markdown.

    Raises:
        CheckpointError: It could not be written; the old one, if any, is as it was.
    """
    manifest, tokenizer, shortlist = checkpoint.manifest, checkpoint.tokenizer, checkpoint.shortlist
    try:
        with replace_folder(path) as folder:
            write_weights(pack_weights(checkpoint.weights, manifest.stored_type), folder / WEIGHTS)
            (folder / TOKENIZER).write_bytes(tokenizer.to_bytes())
            # safetensors lets nobody but the owner read what it writes; a service runs as somebody else.
            shutil.copymode(folder / TOKENIZER, folder / WEIGHTS)
            (folder / CARD).write_text(card, encoding="utf-8")
            hashes = {"weights_sha256": _hash(folder / WEIGHTS), "tokenizer_sha256": _hash(folder / TOKENIZER)}
            hashes["shortlist_sha256"] = ""
            if shortlist is not None:
                (folder / SHORTLIST).write_bytes(shortlist.to_bytes())
                hashes["shortlist_sha256"] = _hash(folder / SHORTLIST)
            text = json.dumps(asdict(manifest) | hashes, indent=2, ensure_ascii=False)
            (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The checkpoint {path} could not be written ({error}); make room or choose another folder. "
            "A checkpoint that was there before is unchanged."
        ) from error


def read_manifest(path: Path) -> Manifest:
    """Reads what a checkpoint says of itself, without loading it.

    Raises:
        CheckpointError: There is none, it is foreign, newer or damaged.
    """
    path = readable(path)
    try:
        table = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(f"There is no checkpoint at {path}: wanted a folder that holds {MANIFEST}.") from None
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path / MANIFEST} cannot be read ({error}); copy the checkpoint again.") from None
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no Carousel checkpoint: its {MANIFEST} does not say 'format': '{FORMAT}'.")
    version = table.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has checkpoint format {version}, this program reads up to {FORMAT_VERSION}; upgrade Carousel."
        )
    try:
        return _manifest(table)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise CheckpointError(f"{path / MANIFEST} is damaged ({error}); copy the checkpoint again.") from None


def verify_checkpoint(path: Path) -> Manifest:
    """Reads what a checkpoint says of itself, and sees that its files are those it speaks of.

    Raises:
        CheckpointError: It is missing, foreign, newer, cut short or altered.
    """
    path = readable(path)
    manifest = read_manifest(path)
    _verified(path / WEIGHTS, manifest.weights_sha256)
    _verified(path / TOKENIZER, manifest.tokenizer_sha256)
    if manifest.shortlist_sha256:
        _verified(path / SHORTLIST, manifest.shortlist_sha256)
    return manifest


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads and verifies a checkpoint.

    Raises:
        CheckpointError: It is missing, foreign, newer, cut short or altered.
    """
    path = readable(path)
    manifest = read_manifest(path)
    # Read once: what was verified is what is used, and what happens to the files afterwards reaches nobody. Weights
    # that were mapped from a file would take the process down with it when somebody cuts the file short.
    content = _verified(path / WEIGHTS, manifest.weights_sha256)
    tokenizer = Tokenizer.from_bytes(_verified(path / TOKENIZER, manifest.tokenizer_sha256))
    try:
        weights = unpack_weights(read_weights(content))
        _check_shapes(weights, manifest.model)
    except (KeyError, ValueError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"The weights in {path} do not fit the sizes in its {MANIFEST} ({reason}); copy the checkpoint again."
        ) from None
    del content
    if tokenizer.vocab_size != manifest.model.vocab_size:
        raise CheckpointError(
            f"The tokenizer in {path} has {tokenizer.vocab_size} pieces, the model {manifest.model.vocab_size}; "
            "copy the checkpoint again."
        )
    shortlist = None
    if manifest.shortlist_sha256:
        content = _verified(path / SHORTLIST, manifest.shortlist_sha256)
        shortlist = Shortlist.from_bytes(content, vocab_size=tokenizer.vocab_size)
    return Checkpoint(manifest, weights, tokenizer, shortlist)


def _check_shapes(weights: Weights, sizes: ModelConfig) -> None:
    wanted = expected_shapes(
        **{name: value for name, value in vars(sizes).items() if name not in ("attention_heads", "dropout")}
    )
    for name in sorted(wanted.keys() | weights.keys()):
        came = weights[name].shape if name in weights else "nothing"
        if came != wanted.get(name):
            raise ValueError(f"{name} is {came}, wanted {wanted.get(name, 'nothing')}")


def _manifest(table: dict[str, Any]) -> Manifest:
    for keys, wanted in ((_TEXTS, str), (_LISTS, list)):
        for key in keys:
            if not isinstance(table.get(key), wanted):
                raise TypeError(f"{key} is {table.get(key)!r}, wanted a {wanted.__name__}")
    if not isinstance(table.get("training", {}), dict):
        raise TypeError(f"training is {table['training']!r}, wanted a table")
    known = {entry.name for entry in fields(Manifest)}
    values = {key: value for key, value in table.items() if key in known}
    values["model"] = ModelConfig(**table["model"])
    values["decoding"] = DecodingOptions(**table["decoding"])
    values["scores"] = tuple(Score(**score) for score in table["scores"])
    values["calibrations"] = tuple(
        Calibration(**each | {"weights": Evidence(*map(float, each["weights"]))})
        for each in table.get("calibrations", [])  # a manifest from before there were any
    )
    values["directions"] = tuple((source, target) for source, target in table["directions"])
    for key in ("languages", "credits"):
        values[key] = tuple(table[key])
    return Manifest(**values)


def _verified(path: Path, wanted: str) -> bytes:
    """Reads a file whose SHA-256 the manifest names.

    Raises:
        CheckpointError: It is missing, unreadable, or another one.
    """
    if not path.is_file():
        raise CheckpointError(f"{path.parent} holds no {path.name}; copy the checkpoint again, whole.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error}); see who may read it, or copy it again.") from None
    if hashlib.sha256(content).hexdigest() != wanted:
        raise CheckpointError(
            f"{path} is not the file the manifest describes: it was cut short or altered (its SHA-256 is not "
            f"{wanted[:12]}...); copy the checkpoint again."
        )
    return content


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
