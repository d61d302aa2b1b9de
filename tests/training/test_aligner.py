"""Finding links: what an aligner is asked, what is made of its answer, and what is said if it cannot be asked."""

import gzip
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.small_run import SOURCES, TARGETS, write_run
from training.aligner import eflomal_aligner, find_links, link_corpora
from training.config import load_config
from training.corpus import read_lines
from translator.errors import CarouselError, ConfigError, CorpusError


def diagonal(source: Path, target: Path, forward: Path, backward: Path) -> None:
    """An aligner that links words of the same place, but for the last link in one direction."""
    lines = [
        [f"{n}-{n}" for n in range(min(len(one.split()), len(other.split())))]
        for one, other in zip(read_lines(source), read_lines(target), strict=True)
    ]
    forward.write_text("".join(" ".join(links) + "\n" for links in lines))
    backward.write_text("".join(" ".join(links[:-1]) + "\n" for links in lines))


def test_links_of_both_directions_are_joined_and_empty_sides_have_none() -> None:
    pairs = [(["a", "b"], ["c", "d"]), ([], ["c"]), (["a"], []), (["a"], ["b"])]
    # the last link of a line is in one direction only: it touches the first, or its words have no other
    assert find_links(pairs, diagonal) == [{(0, 0), (1, 1)}, set(), set(), {(0, 0)}]


def test_an_aligner_that_drops_a_line_is_found_out() -> None:
    def forgetful(source: Path, target: Path, forward: Path, backward: Path) -> None:
        diagonal(source, target, forward, backward)
        forward.write_text("0-0\n")

    with pytest.raises(CarouselError, match=r"was given 2 pairs and answered 1 and 2 lines"):
        find_links([(["a"], ["b"])] * 2, forgetful)


def test_an_aligner_that_writes_nothing_is_found_out() -> None:
    with pytest.raises(CarouselError, match="The aligner wrote no links"):
        find_links([(["a"], ["b"])], lambda *files: None)


def test_without_words_nobody_is_asked() -> None:
    assert find_links([([], ["a"])], lambda *files: pytest.fail("asked")) == [set()]


@pytest.mark.parametrize("name", ["text.links", "links/text.links.gz"])
def test_each_corpus_gets_its_file(tmp_path: Path, name: str) -> None:
    config = load_config(write_run(tmp_path, corpus={"links_file": name}))
    (written,) = link_corpora(config, diagonal)
    content = (tmp_path / name).read_bytes()
    lines = (gzip.decompress(content) if name.endswith(".gz") else content).decode().splitlines()
    assert len(lines) == len(SOURCES)
    assert lines[0] == " ".join(f"{n}-{n}" for n in range(len(TARGETS[0].split())))
    assert written == (tmp_path / name, sum(len(line.split()) for line in lines))


def test_a_failure_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    def broken(*files: Path) -> None:
        raise CarouselError("no")

    (tmp_path / "text.links").write_text("0-0\n")
    config = load_config(write_run(tmp_path, corpus={"links_file": "text.links"}))
    with pytest.raises(CarouselError, match="no"):
        link_corpora(config, broken)
    assert (tmp_path / "text.links").read_text() == "0-0\n"
    assert not list(tmp_path.glob(".*"))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = load_config(write_run(tmp_path, corpus={"links_file": "file/text.links"}))
    with pytest.raises(CorpusError, match=r"text\.links could not be written"):
        link_corpora(config, diagonal)


def test_a_place_that_is_no_file_of_its_own_is_refused_before_anything_is_aligned(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    config = load_config(write_run(tmp_path, corpus={"links_file": "taken"}))
    with pytest.raises(ConfigError, match="taken is a folder"):
        link_corpora(config, lambda *files: pytest.fail("aligned"))
    config = load_config(write_run(tmp_path, corpus={"links_file": "text.links"}))
    with pytest.raises(ConfigError, match=r"text\.links is the links_file of two corpora"):
        link_corpora(replace(config, corpora=config.corpora * 2), lambda *files: pytest.fail("aligned"))


def test_without_a_place_for_links_nothing_is_done(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No corpus has a links_file"):
        link_corpora(load_config(write_run(tmp_path)), diagonal)


def test_without_the_aligner_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eflomal", None)
    config = load_config(write_run(tmp_path, corpus={"links_file": "text.links"}))
    with pytest.raises(CarouselError, match="pip install eflomal"):
        link_corpora(config)


def test_eflomal_finds_words_that_always_come_together() -> None:
    pytest.importorskip("eflomal", reason="an extra of its own: pip install -e .[align]")
    chance = random.Random(0)
    sources = [[f"w{chance.randrange(30)}" for _ in range(6)] for _ in range(500)]
    # each target has one word more in front: no mirror image of its source, so a direction mixed up would show
    found = find_links([(source, ["so", *(word.upper() for word in source)]) for source in sources], eflomal_aligner)
    gold = {(n, n + 1) for n in range(6)}
    right = sum(len(links & gold) for links in found)
    assert right >= 0.8 * len(gold) * len(sources)
