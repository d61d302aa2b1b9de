"""Characters that are taught: a piece for each, learnt from pairs that have it; nothing else of the model changes."""

from pathlib import Path

import pytest
import torch

from tests.training.small_run import SOURCES, TARGETS, make_trainer, small_tokenizer, write_lines
from training import characters
from training.characters import teach_characters
from training.tokenizer import with_characters
from translator.checkpoint import Checkpoint, load_checkpoint
from translator.errors import ConfigError, CorpusError
from translator.inference import Translator
from translator.tokenizer import Tokenizer

STRANGE = "\u00de"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run, whose text then has a character that its vocabulary lacks wherever a cat was."""
    folder = tmp_path_factory.mktemp("run")
    make_trainer(folder).run()
    for file, lines in (("text.en", SOURCES), ("text.de", TARGETS)):
        write_lines(folder / file, [line.replace("cat", f"{STRANGE}at") for line in lines])
    return folder


@pytest.fixture
def all_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(characters, "SAMPLE", 1.0)
    monkeypatch.setattr(characters, "LEAST_SEEN", 4)


def before(folder: Path) -> Checkpoint:
    return load_checkpoint(folder / "small" / "best")


def test_a_new_piece_is_the_last_one_and_the_last_resort() -> None:
    old = small_tokenizer()
    new = Tokenizer.from_bytes(with_characters(old.to_bytes(), STRANGE + "\u00df"))
    assert new.pieces == (*old.pieces, STRANGE, "\u00df")
    for text in SOURCES:
        assert new.encode(text) == old.encode(text)
    assert new.encode(STRANGE)[-1] == old.vocab_size


@pytest.mark.usefixtures("all_read")
def test_only_the_rows_of_new_characters_are_learnt(folder: Path, tmp_path: Path) -> None:
    report = teach_characters(folder / "small" / "best", tmp_path / "taught", folder / "small.toml")
    old, new = before(folder), load_checkpoint(tmp_path / "taught")
    assert report.characters == STRANGE
    assert 0 <= report.right <= 1
    assert new.manifest.model.vocab_size == old.tokenizer.vocab_size + 1 == new.tokenizer.vocab_size
    weights = new.model.state_dict()
    for name, weight in old.model.state_dict().items():
        assert torch.equal(weights[name][: len(weight)], weight), name
    unknown = old.model.state_dict()["embedding.weight"][Tokenizer.unk_id]
    assert (weights["embedding.weight"][-1] - unknown).abs().max() > 0.01
    assert Translator.load(tmp_path / "taught").translate([f"the {STRANGE}at runs"], source="en", target="de")[0].text


@pytest.mark.usefixtures("all_read")
def test_a_new_row_learns_where_it_belongs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = []
    monkeypatch.setattr(characters, "LEARNING_RATE", 0.1)
    for passes in (0, 40):
        monkeypatch.setattr(characters, "PASSES", passes)
        teach_characters(folder / "small" / "best", tmp_path / "taught", folder / "small.toml")
        taught = load_checkpoint(tmp_path / "taught")
        language, eos = taught.tokenizer.language_id("de"), Tokenizer.eos_id
        pairs = [pair for pair in zip(SOURCES, TARGETS, strict=True) if "cat" in pair[0]]
        ids = [[taught.tokenizer.encode(text.replace("cat", f"{STRANGE}at")) for text in pair] for pair in pairs]
        examples = [characters.Example([language, *source, eos], [*target, eos]) for source, target in ids]
        logits, wanted = characters._said(taught.model, examples)
        losses.append(torch.nn.functional.cross_entropy(logits, wanted).item())
    assert losses[1] < losses[0] - 0.05


@pytest.mark.usefixtures("all_read")
def test_a_character_of_one_side_alone_is_found(folder: Path, tmp_path: Path) -> None:
    for file in ("small.toml", "text.en"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    write_lines(tmp_path / "text.de", [line.replace("cat", "\u00df") for line in TARGETS])
    report = teach_characters(folder / "small" / "best", tmp_path / "taught", tmp_path / "small.toml")
    assert sorted(report.characters) == sorted(STRANGE + "\u00df")


@pytest.mark.usefixtures("all_read")
def test_what_cannot_be_taught_is_a_sentence(folder: Path, tmp_path: Path) -> None:
    run, config = folder / "small" / "best", folder / "small.toml"
    with pytest.raises(ConfigError, match="has a piece for every character that is to be taught"):
        teach_characters(run, tmp_path / "taught", config, characters="cat ")
    with pytest.raises(CorpusError, match="have none of '\u00df': there is nothing to learn from"):
        teach_characters(run, tmp_path / "taught", config, characters="\u00df")
    assert not (tmp_path / "taught").exists()
