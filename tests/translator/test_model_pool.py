"""Several checkpoints as one translator: who translates what, by which way, and who is in memory."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.translator.conftest import LINES, TINY, make_model
from training.tokenizer import learn_tokenizer
from translator.checkpoint import WEIGHTS, Checkpoint, Manifest, save_checkpoint
from translator.config import DecodingOptions, ModelConfig
from translator.errors import CheckpointError, ConfigError, LanguageError
from translator.inference import Translation, TranslationRequest, Translator
from translator.model_pool import ModelPool
from translator.pivot import joined
from translator.session import TranslationSession
from translator.tokenizer import Tokenizer

OPTIONS = DecodingOptions(beam_size=3, max_length_ratio=1.0, max_length_margin=8)
TEXT = "the small dog sleeps here. why?\n\nA cat waits."


class Clock:
    """A time that moves when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def save(folder: Path, name: str, *pairs: tuple[str, str], seed: int) -> None:
    """A random model that was taught these pairs of languages, both ways."""
    languages = sorted({language for pair in pairs for language in pair})
    tokenizer = Tokenizer.from_bytes(learn_tokenizer(LINES, vocab_size=84, languages=languages, threads=1))
    model = make_model(seed, vocab_size=tokenizer.vocab_size)
    manifest = Manifest(
        name=name,
        model=ModelConfig(**{**TINY, "vocab_size": tokenizer.vocab_size}),  # type: ignore[arg-type]
        languages=tuple(languages),
        directions=tuple(way for pair in pairs for way in (pair, pair[::-1])),
        decoding=replace(OPTIONS, beam_size=seed),
    )
    save_checkpoint(folder / name, Checkpoint.of(manifest, model, tokenizer), card="# Random\n")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """English with German alone; English with German and French."""
    folder = tmp_path_factory.mktemp("models")
    save(folder, "broad", ("en", "de"), ("en", "fr"), seed=2)
    save(folder, "special", ("en", "de"), seed=3)
    (folder / "notes").mkdir()
    return folder


@pytest.fixture
def pool(models: Path) -> ModelPool:
    return ModelPool.find(models, compute_type="float32")


def finish(session: TranslationSession) -> dict[int, list[Translation]]:
    found = {}
    while session.busy:
        found.update({ticket: session.collect(ticket) for ticket in session.advance()})
    return found


def requests_of(*directions: tuple[str, str], text: str = TEXT) -> list[TranslationRequest]:
    return [TranslationRequest(text, *direction) for direction in directions]


def texts(translations: Sequence[Translation]) -> list[str]:
    return [each.text for each in translations]


def test_its_directions_are_those_of_all_models_and_the_ways_between(pool: ModelPool) -> None:
    assert pool.languages == ("de", "en", "fr")
    assert set(pool.directions) == {(a, b) for a in pool.languages for b in pool.languages if a != b}


@pytest.mark.parametrize(
    ("direction", "names"),
    [
        pytest.param(("en", "de"), ["special"], id="the specialist"),
        pytest.param(("fr", "en"), ["broad"], id="the only one"),
        pytest.param(("de", "fr"), ["special", "broad"], id="through English, from one to the other"),
    ],
)
def test_a_text_goes_through_the_models_of_its_route(
    pool: ModelPool, models: Path, direction: tuple[str, str], names: list[str]
) -> None:
    assert [manifest.name for manifest in pool.route(*direction)] == names
    session = pool.session()
    ticket = session.admit(requests_of(direction))
    [found] = finish(session)[ticket]
    source, target = direction
    ways = [direction] if len(names) == 1 else [(source, "en"), ("en", target)]
    expected: Translation | None = None
    for name, (start, end) in zip(names, ways, strict=True):
        [leg] = Translator.load(models / name, compute_type="float32").translate(
            [expected.text if expected else TEXT], source=start, target=end
        )
        expected = joined(expected, leg) if expected else leg
    assert found == expected
    assert set(pool.loaded) == set(names)


def test_no_way_is_no_route(pool: ModelPool) -> None:
    with pytest.raises(KeyError):
        pool.route("de", "xx")
    with pytest.raises(LanguageError, match="'xx' is not supported; choose from: de, en, fr"):
        pool.session().admit(requests_of(("de", "xx")))


def test_texts_of_all_directions_together_are_translated_as_if_alone(pool: ModelPool) -> None:
    directions = [("en", "de"), ("fr", "en"), ("de", "fr"), ("fr", "de"), ("de", "en")]
    together = pool.session(batch_size=2)
    tickets = [together.admit(requests_of(direction)) for direction in directions]
    mixed = together.admit(requests_of(*directions))
    found = finish(together)
    alone = pool.session()
    for ticket, direction in zip(tickets, directions, strict=True):
        same = alone.admit(requests_of(direction))
        assert texts(found[ticket]) == texts(finish(alone)[same])
    assert texts(found[mixed]) == [found[ticket][0].text for ticket in tickets]


def test_what_settles_and_how_far_it_is_is_told_over_both_models(pool: ModelPool) -> None:
    session, told = pool.session(), list[tuple[int, int]]()
    ticket = session.admit(requests_of(("en", "de"), ("de", "fr"), ("en", "fr")), in_order=True)
    settled, seen = ["", "", ""], set[int]()
    while not session.advance():
        told.append(session.progress(ticket))
        now = session.settled(ticket)
        assert [after.startswith(before) for before, after in zip(settled, now, strict=True)] == [True] * 3
        settled = now
        seen |= {place for place, text in enumerate(settled) if text}
    assert session.settled(ticket) == texts(session.collect(ticket))
    assert seen >= {0, 2}, "both models told, and every text has its own place"
    assert told == sorted(told)
    assert told[-1][0] >= told[-1][1] / 2
    assert len({total for _, total in told}) == 1


def test_who_is_cancelled_leaves_both_models(pool: ModelPool) -> None:
    session = pool.session()
    gone, stays = session.admit(requests_of(("en", "de"), ("en", "fr"))), session.admit(requests_of(("de", "en")))
    session.advance()
    session.cancel(gone)
    found = finish(session)
    assert found.keys() == {stays}
    assert not session.busy


def test_each_model_searches_as_it_recommends_but_for_what_is_wished(pool: ModelPool) -> None:
    session = pool.session(options=lambda recommended: replace(recommended, n_best=recommended.beam_size))
    ticket = session.admit(requests_of(("en", "fr"), ("en", "de"), text="why?"))
    broad, special = finish(session)[ticket]
    assert len(broad.alternatives) <= 1
    assert len(special.alternatives) <= 2
    alone = Translator.load(pool._folders["special"], compute_type="float32")
    wide = replace(OPTIONS, beam_size=3, n_best=3)
    assert alone.translate(["why?"], source="en", target="de", options=wide)[0] == special


def test_a_model_is_loaded_when_it_is_needed_and_let_go_when_it_is_not(models: Path) -> None:
    clock = Clock()
    folders = [models / "broad", models / "special"]
    pool = ModelPool(folders, compute_type="float32", idle_seconds=60, clock=clock)
    session = pool.session()
    assert pool.loaded == []
    session.admit(requests_of(("en", "fr")))
    assert pool.loaded == ["broad"]
    clock.now = 100
    session.rest()
    assert pool.loaded == ["broad"], "it is at work"
    finish(session)
    clock.now = 159
    session.admit(requests_of(("en", "de")))
    finish(session)
    assert set(pool.loaded) == {"broad", "special"}
    clock.now = 160
    session.rest()
    assert pool.loaded == ["special"]
    ticket = session.admit(requests_of(("fr", "en")))
    assert set(pool.loaded) == {"broad", "special"}
    assert finish(session)[ticket][0].source_text == TEXT


def test_one_model_alone_is_loaded_at_once_and_stays(models: Path) -> None:
    clock = Clock()
    pool = ModelPool([models / "special"], idle_seconds=1, clock=clock)
    assert pool.loaded == ["special"]
    clock.now = 1000
    pool.session().rest()
    assert pool.loaded == ["special"]


def test_two_models_of_one_name_are_refused(models: Path, tmp_path: Path) -> None:
    save(tmp_path, "special", ("en", "fr"), seed=3)
    with pytest.raises(CheckpointError, match=r"special and .*special are both called 'special'; take one"):
        ModelPool([models / "special", tmp_path / "special"])


def test_a_checkpoint_that_cannot_be_trusted_is_refused_before_it_is_needed(tmp_path: Path) -> None:
    save(tmp_path, "whole", ("en", "de"), seed=3)
    save(tmp_path, "cut", ("en", "fr"), seed=3)
    weights = tmp_path / "cut" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"cut.*is not the file the manifest describes"):
        ModelPool.find(tmp_path)


def test_one_that_is_replaced_after_the_start_is_not_served_as_the_one_that_was(tmp_path: Path) -> None:
    save(tmp_path, "one", ("en", "de"), seed=3)
    save(tmp_path, "other", ("en", "fr"), seed=3)
    session = ModelPool.find(tmp_path).session()
    save(tmp_path, "one", ("en", "de"), seed=4)
    with pytest.raises(CheckpointError, match="one holds another checkpoint than at the start; start again"):
        session.admit(requests_of(("en", "de")))
    assert session.admit(requests_of(("en", "fr")))


@pytest.mark.parametrize("names", [["special"], ["special", "broad"]], ids=["one", "several"])
def test_what_cannot_be_is_refused_at_the_start(models: Path, names: list[str]) -> None:
    folders = [models / name for name in names]
    with pytest.raises(ConfigError, match="threads is 0, wanted 1 to 256"):
        ModelPool(folders, threads=0)
    with pytest.raises(ConfigError, match="compute_type is 'int3'"):
        ModelPool(folders, compute_type="int3")  # type: ignore[arg-type]


def test_one_that_is_altered_before_it_is_loaded_fails_those_who_need_it_alone(tmp_path: Path) -> None:
    save(tmp_path, "whole", ("en", "de"), seed=3)
    save(tmp_path, "cut", ("en", "fr"), seed=3)
    session = ModelPool.find(tmp_path).session()
    (tmp_path / "cut" / WEIGHTS).write_bytes(b"")
    going = session.admit(requests_of(("de", "en")))
    with pytest.raises(CheckpointError, match=r"cut.*is not the file the manifest describes"):
        session.admit(requests_of(("en", "de"), ("en", "fr")))
    onwards = session.admit(requests_of(("de", "fr")))
    ended = list[int]()
    while session.busy:
        ended += session.advance()
    assert sorted(ended) == [going, onwards]
    assert session.collect(going)[0].source_text == TEXT
    with pytest.raises(CheckpointError):
        session.collect(onwards)
