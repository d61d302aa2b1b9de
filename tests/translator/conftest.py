"""A tokenizer learnt from made-up lines and a tiny model with random weights: enough to run everything once."""

import shutil
from pathlib import Path

import pytest
import torch

from training.tokenizer import learn_tokenizer
from translator import kernels
from translator.arrays import Array
from translator.checkpoint import Checkpoint, Manifest, Score, save_checkpoint
from translator.compute_type import ComputeType, choose_compute_type
from translator.config import DecodingOptions, ModelConfig
from translator.engine import DecodingEngine
from translator.inference import Translator
from translator.kernel_engine import KernelEngine
from translator.model import TranslationModel
from translator.pytorch_engine import PyTorchEngine
from translator.shortlist import Shortlist
from translator.tokenizer import Tokenizer

ENGLISH = [
    f"the {size} {animal} {verb} {place}."
    for size, verb in [("small", "sleeps"), ("big", "eats"), ("old", "waits")]
    for animal, place in [("dog", "here"), ("cat", "in the house"), ("horse", "by the sea")]
    for _ in range(2)
]
GERMAN = [
    f"{size} {animal} {verb} {place}."
    for size, verb in [("der kleine", "schläft"), ("der große", "frisst"), ("der alte", "wartet")]
    for animal, place in [("Hund", "hier"), ("Kater", "im Haus"), ("Zebrafink", "am Meer, jung und bequem")]
    for _ in range(2)
]
ALPHABET = ["Quickly, Xaver and Yvonne jump over it!", "Why? Fünf Äpfel, zwölf Öfen: 0 1 2 3 4 5 6 7 8 9"]
LINES = [*ENGLISH, *GERMAN, *ALPHABET * 12]


COMPUTE_TYPES: list[ComputeType] = ["float32", "bfloat16", "int8"]
if choose_compute_type("auto", "cpu") != "int8":
    COMPUTE_TYPES.remove("int8")  # neither kernels nor VNNI, and the service refuses it there
needs_int8 = pytest.mark.skipif("int8" not in COMPUTE_TYPES, reason="int8 needs our own kernels, or VNNI")

has_vnni = bool(getattr(torch.cpu, "_is_vnni_supported", lambda: False)())
needs_vnni = pytest.mark.skipif(not has_vnni, reason="PyTorch's int8 needs a processor with VNNI")

PYTORCH_TYPES: list[ComputeType] = ["float32", "bfloat16", *(["int8"] if has_vnni else [])]  # type: ignore[list-item]

needs_kernels = pytest.mark.skipif(
    not kernels.available(), reason="built without a C compiler, or a processor without AVX2"
)


def make_model(seed: int = 0, *, weight: float = 1.0, **sizes: int | float) -> TranslationModel:
    """A random model in evaluation mode; `weight` above 1 makes it surer of what it says."""
    config = ModelConfig(**{**TINY, **sizes})  # type: ignore[arg-type]  # one dict for whole numbers and dropout
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = TranslationModel.from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)  # biases too, so that a forgotten one is noticed
                parameter.mul_(weight)
    return model


def engine_of(
    model: TranslationModel, compute_type: ComputeType = "float32", shortlist: Shortlist | None = None
) -> DecodingEngine:
    """The engine that such a compute type is given here: the kernels' where they are, else PyTorch's."""
    if compute_type == "int8" and kernels.available():
        heads = model.decoder.attention.heads
        return KernelEngine(weights_of(model), pad_id=Tokenizer.pad_id, heads=heads, shortlist=shortlist)
    return PyTorchEngine(model, pad_id=Tokenizer.pad_id, compute_type=compute_type, shortlist=shortlist)


def weights_of(model: TranslationModel) -> dict[str, Array]:
    return {name: weight.detach().numpy() for name, weight in model.state_dict().items()}


TINY: dict[str, int | float] = {
    "vocab_size": 24,
    "embedding_size": 8,
    "encoder_layers": 2,
    "encoder_size": 6,
    "decoder_layers": 3,
    "decoder_size": 10,
    "attention_heads": 2,
    "dropout": 0.1,
}


def make_trilingual(decoding: DecodingOptions) -> Translator:
    """A random model of three languages, of which two are taught together with English alone."""
    tokenizer = Tokenizer.from_bytes(learn_tokenizer(LINES, vocab_size=85, languages=["de", "en", "fr"], threads=1))
    manifest = Manifest(
        name="three",
        model=ModelConfig(**{**TINY, "vocab_size": tokenizer.vocab_size}),  # type: ignore[arg-type]
        languages=("de", "en", "fr"),
        directions=(("en", "de"), ("de", "en"), ("en", "fr"), ("fr", "en")),
        decoding=decoding,
    )
    return Translator(Checkpoint.of(manifest, make_model(7, vocab_size=tokenizer.vocab_size), tokenizer))


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_bytes(learn_tokenizer(LINES, vocab_size=84, languages=["de", "en"], threads=1))


@pytest.fixture(scope="session")
def model(tokenizer: Tokenizer) -> TranslationModel:
    model = make_model(8, weight=2.0, vocab_size=tokenizer.vocab_size)
    with torch.no_grad():
        model.output_bias[tokenizer.eos_id] += 2.0  # some sentences end by themselves, some are cut
    return model.requires_grad_(False)


@pytest.fixture(scope="session")
def checkpoint(tokenizer: Tokenizer, model: TranslationModel) -> Checkpoint:
    manifest = Manifest(
        name="tiny",
        model=ModelConfig(**{**TINY, "vocab_size": tokenizer.vocab_size}),  # type: ignore[arg-type]
        languages=("de", "en"),
        directions=(("en", "de"), ("de", "en")),
        decoding=DecodingOptions(beam_size=3, max_length_ratio=1.0, max_length_margin=5),
        training={"recipe": "none", "steps": 0},
        scores=(Score(test_set="made-up", source="en", target="de", metric="BLEU", value=0.5, signature="none"),),
        licence="CC0-1.0",
        credits=("nobody",),
    )
    return Checkpoint.of(manifest, model, tokenizer)


@pytest.fixture(scope="session")
def checkpoint_folder(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Saved once; a test that changes it must copy it first."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(folder, checkpoint, card="# Tiny\n")
    return folder


@pytest.fixture
def folder(checkpoint_folder: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(checkpoint_folder, tmp_path / "model"))


@pytest.fixture(scope="session")
def translator(checkpoint_folder: Path) -> Translator:
    return Translator.load(checkpoint_folder)
