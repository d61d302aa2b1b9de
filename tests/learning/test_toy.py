"""The toy of the README is learnt by the door that every model comes through: digits to words, numbers never seen."""

import shutil
from pathlib import Path

import pytest

from training.experiment import train
from training.toy import make_pairs, write_toy
from translator.inference import Translator

pytestmark = pytest.mark.learning

CONFIG = Path(__file__).parents[2] / "configs" / "toy.toml"
WANTED_EXACT = 0.95


def test_numbers_it_has_never_seen_are_spelled_right(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    config = Path(shutil.copy(CONFIG, tmp_path / "configs"))
    write_toy(tmp_path / "runs" / "toy" / "data")
    train(config)
    translator = Translator.load(tmp_path / "runs" / "toy" / "best")
    sources, references = zip(*make_pairs()["test"], strict=True)
    answers = [answer.text for answer in translator.translate(sources, source="digits", target="words")]
    triples = zip(sources, references, answers, strict=True)
    wrong = [(source, answer) for source, reference, answer in triples if answer != reference]
    assert len(wrong) <= (1 - WANTED_EXACT) * len(sources), wrong
