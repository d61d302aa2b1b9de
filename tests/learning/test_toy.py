"""The toy of the README is learnt by the door that every model comes through: digits to words, numbers never seen."""

import shutil
from pathlib import Path

import pytest

from training.experiment import train
from training.toy import make_pairs, write_toy
from translator.config import DecodingOptions
from translator.inference import Translator

pytestmark = pytest.mark.learning

CONFIG = Path(__file__).parents[2] / "configs" / "toy.toml"
WANTED = 0.95


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    """What `make train-toy` makes, in a folder of its own."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "configs").mkdir()
    shutil.copy(CONFIG, folder / "configs")
    write_toy(folder / "runs" / "toy" / "data")
    train(folder / "configs" / CONFIG.name)
    return Translator.load(folder / "runs" / "toy" / "best")


@pytest.mark.parametrize("beam_size", [1, 5], ids=["greedy", "with a beam"])
def test_numbers_it_has_never_seen_are_spelled_right(translator: Translator, beam_size: int) -> None:
    sources, references = zip(*make_pairs()["test"], strict=True)
    options = DecodingOptions(beam_size=beam_size)
    answers = translator.translate(sources, source="digits", target="words", options=options)
    triples = zip(sources, references, [answer.text for answer in answers], strict=True)
    wrong = [(source, answer) for source, reference, answer in triples if answer != reference]
    assert len(wrong) <= (1 - WANTED) * len(sources), wrong
