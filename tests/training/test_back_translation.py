"""What one corpus lacks of another's sentences is translated, ranked both ways, and the least sure is dropped."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from carousel.cli import app
from tests.training.small_run import SOURCES, TARGETS, make_trainer, write_lines
from training import back_translation
from training.back_translation import Made, _check_destination, _choose, _is_sound, _lacking, _surest, back_translate
from training.cleaning import CleaningConfig
from training.config import CorpusConfig
from translator.checkpoint import load_checkpoint
from translator.compute_type import choose_compute_type
from translator.engine import make_engine
from translator.errors import ConfigError, CorpusError
from translator.scoring import Hypothesis
from translator.tokenizer import Tokenizer

EOS, UNK = Tokenizer.eos_id, Tokenizer.unk_id


def corpus(folder: Path, target: str, lines: list[str], others: list[str] | None = None) -> CorpusConfig:
    source_file = write_lines(folder / f"{target}.en", lines)
    target_file = write_lines(folder / f"{target}.{target}", others or [f"{target} {line}" for line in lines])
    return CorpusConfig(source="en", target=target, source_file=source_file, target_file=target_file)


def test_a_corpus_lacks_what_others_say_in_its_language(tmp_path: Path) -> None:
    german = corpus(tmp_path, "de", ["The cat sleeps.", "the dog eats!", "A word", "Who is there?", "THIS IS LOUD."])
    french = corpus(tmp_path, "fr", ["The dog eats.", "We all  sleep.", "yes no."])
    spanish = corpus(tmp_path, "es", ["Two cats eat."])
    found = _lacking([german, french, spanish])
    assert found == {
        ("en", "de"): ["Two cats eat.", "We all sleep."],  # the dog is there, with other marks
        ("en", "fr"): ["The cat sleeps.", "Two cats eat.", "Who is there?"],
        ("en", "es"): ["The cat sleeps.", "The dog eats.", "We all sleep.", "Who is there?"],
    }


def test_corpora_of_one_pair_lack_nothing_of_each_other(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    assert not _lacking([corpus(tmp_path, "de", ["The cat sleeps."]), corpus(tmp_path / "more", "de", ["A dog eats."])])


@pytest.mark.parametrize(
    ("token_ids", "sound"), [((7, EOS), True), ((EOS,), False), ((7, 8), False), ((7, UNK, EOS), False)]
)
def test_what_has_no_end_says_nothing_or_cannot_be_spelt_is_no_candidate(
    token_ids: tuple[int, ...], sound: bool
) -> None:
    assert _is_sound(token_ids) == sound


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    make_trainer(folder, corpus={"both_directions": True}).run()
    return folder


def test_the_candidate_that_both_ways_like_best_is_taken(run: Path) -> None:
    checkpoint = load_checkpoint(run / "small" / "best")
    tokenizer = checkpoint.tokenizer
    engine = make_engine(checkpoint, compute_type=choose_compute_type("float32", "cpu"))
    back, sentence = tokenizer.language_id("en"), tokenizer.encode(SOURCES[0])
    candidates = [[*tokenizer.encode(text), EOS] for text in (TARGETS[0], TARGETS[-1], TARGETS[3])]
    ways_back = [engine.force([[back, *candidate]], [[*sentence, EOS]], alpha=1.0)[0].score for candidate in candidates]
    found = [hypothesis(candidate, -5.0) for candidate in candidates]
    [made, none] = _choose(engine, tokenizer, [sentence, sentence], [found, []], back)
    best = ways_back.index(max(ways_back))
    assert made is not None
    assert made.text == tokenizer.decode(candidates[best]).text
    assert made.score == pytest.approx(-5.0 + back_translation.WAY_BACK * ways_back[best], abs=1e-4)
    assert none is None


def test_the_surest_are_kept_in_their_order() -> None:
    sentences = ["a b c", "d e f", "g h i", "j k l", "m n o"]
    made = [Made("A", -3.0), None, Made("B", -1.0), Made("j, k l.", -0.1), Made("C" * 300, 0.0)]
    cleaning = CleaningConfig()
    assert _surest(sentences, made, 1.0, cleaning) == [("a b c", "A"), ("g h i", "B")]  # no copies, no odd lengths
    assert _surest(sentences, made, 0.5, cleaning) == [("g h i", "B")]
    assert _surest(sentences, [None] * 5, 1.0, cleaning) == []


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], list[str]]:
    """A search that finds of each sentence its words turned round, and in another order, which the way back likes less.

    How sure it is falls with the length. The small run's corpus is alone, and lacks what it is said to lack.
    """
    lacking = {("en", "de"): SOURCES[:5]}
    monkeypatch.setattr(back_translation, "_lacking", lambda _: lacking)

    def decode(_: object, tokenizer: Tokenizer, sources: list[list[int]], **__: object) -> list[list[Hypothesis]]:
        found = []
        for source in sources:
            said = tokenizer.decode(source[1:-1]).text.split()
            found.append([answer(tokenizer, said), answer(tokenizer, said[::-1]), answer(tokenizer, [])])
        return found

    def score(_: object, pairs: list[tuple[list[int], list[int]]], **__: object) -> list[Hypothesis]:
        return [hypothesis(target, -9.0 if source[1:] == target else -len(target) / 100) for source, target in pairs]

    monkeypatch.setattr(back_translation, "decode_all", decode)
    monkeypatch.setattr(back_translation, "score_all", score)
    return lacking


def answer(tokenizer: Tokenizer, words: list[str]) -> Hypothesis:
    return hypothesis([*tokenizer.encode(" ".join(words)), EOS], -1.0)


def hypothesis(token_ids: list[int], score: float) -> Hypothesis:
    nothing = np.empty((0, 0), np.float32)
    return Hypothesis(tuple(token_ids), (), score, score, nothing, nothing, True)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.usefixtures("sure")
def test_files_are_made_for_what_is_lacking(run: Path, tmp_path: Path, workers: int) -> None:
    best, config = run / "small" / "best", run / "small.toml"
    reports = back_translate(best, tmp_path / "made", config, keep=1.0, workers=workers)
    assert reports == [("en", "de", 5, 5, 5)]
    assert read(tmp_path / "made", "en") == SOURCES[:5]
    assert read(tmp_path / "made", "de") == TARGETS[:5]


@pytest.mark.usefixtures("sure")
def test_a_draw_is_of_so_many_and_always_the_same(run: Path, tmp_path: Path) -> None:
    best, config = run / "small" / "best", run / "small.toml"
    reports = back_translate(best, tmp_path / "made", config, keep=0.5, limit=4)
    english = read(tmp_path / "made", "en")
    assert reports == [("en", "de", 5, 4, len(english))]
    assert 2 <= len(english) < 4
    dropped = [len(each) for each in SOURCES[:5] if each not in english]
    assert max(map(len, english)) <= max(dropped), "the surest are kept, which are the shortest here"
    assert back_translate(best, tmp_path / "made", config, keep=0.5, limit=4) == reports  # over what was made
    assert read(tmp_path / "made", "en") == english


def read(folder: Path, language: str) -> list[str]:
    return gzip.decompress((folder / f"en-de.{language}.gz").read_bytes()).decode().splitlines()


@pytest.mark.usefixtures("sure")
def test_the_command_says_what_it_made(run: Path, tmp_path: Path) -> None:
    arguments = ["back-translate", str(run / "small" / "best"), str(tmp_path / "made"), "--keep", "1", "--limit", "3"]
    result = CliRunner().invoke(app, [*arguments, "--config", str(run / "small.toml")])
    assert result.exit_code == 0, result.output
    assert "3 pairs of en and de made of 3 sentences (5 are lacking), in " in result.output
    assert "en-de.en.gz and beside it." in result.output


def test_what_cannot_be_translated_is_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best, config = run / "small" / "best", run / "small.toml"
    with pytest.raises(CorpusError, match="have no sentences that another one lacks"):
        back_translate(best, tmp_path / "made", config)
    with pytest.raises(ConfigError, match="keep is 0, wanted more than 0 and at most 1"):
        back_translate(best, tmp_path / "made", config, keep=0)
    monkeypatch.setattr(back_translation, "_lacking", lambda _: {("en", "fr"): ["the cat sleeps"]})
    with pytest.raises(ConfigError, match="does not translate en to fr and back; it was taught: en to de, de to en"):
        back_translate(best, tmp_path / "made", config)
    with pytest.raises(ConfigError, match=r"holds .*, which would be lost: name another folder"):
        back_translate(best, run, config)
    with pytest.raises(ConfigError, match=r"small\.toml is a file, wanted a folder: name another one"):
        back_translate(best, config, config)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["my-notes.gz", "en-fr.en.gz", "en-de.en.gz"])
def test_what_was_not_made_here_or_is_read_is_not_replaced(tmp_path: Path, name: str) -> None:
    """Corpora are .gz files, too, and one may even be called as what would be made."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / name).write_bytes(b"precious")
    read = corpus(tmp_path, "de", ["The cat sleeps."])
    if name == "en-de.en.gz":
        read = CorpusConfig(source="en", target="de", source_file=folder / name, target_file=read.target_file)
    with pytest.raises(ConfigError, match=f"holds {name}, which would be lost: name another folder"):
        _check_destination(folder, [read])
    assert (folder / name).read_bytes() == b"precious"
    (folder / name).rename(folder / "de-en.de.gz")  # what an earlier run may have made of the same corpora
    _check_destination(folder, [corpus(tmp_path, "de", ["The cat sleeps."])])
