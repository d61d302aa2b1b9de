"""Learning a vocabulary: sizes that do not fit the text are refused with one that does."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from training.tokenizer import learn_tokenizer
from translator.errors import ConfigError, CorpusError, LanguageError
from translator.tokenizer import Tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SENTENCES = [f"the cat {LETTERS[i:]} sat on {LETTERS[:i]} mat {i}." for i in range(26)] * 2
KINDS: tuple[Literal["unigram", "bpe"], ...] = ("unigram", "bpe")


@pytest.mark.parametrize("model_type", KINDS)
def test_the_vocabulary_has_the_size_asked_for(model_type: Literal["unigram", "bpe"]) -> None:
    model = learn_tokenizer(SENTENCES, vocab_size=60, languages=["en", "de"], model_type=model_type)
    tokenizer = Tokenizer.from_bytes(model)
    assert tokenizer.vocab_size == 60
    assert tokenizer.languages == ("en", "de")


@pytest.mark.parametrize("model_type", KINDS)
@pytest.mark.parametrize("wrong", [pytest.param(20, id="too small"), pytest.param(5000, id="too large")])
def test_the_size_that_the_error_names_works(model_type: Literal["unigram", "bpe"], wrong: int) -> None:
    with pytest.raises(CorpusError, match=r"set vocab_size to at (least|most) \d+") as caught:
        learn_tokenizer(SENTENCES, vocab_size=wrong, languages=["de"], model_type=model_type)
    size = int(re.findall(r"at (?:least|most) (\d+)", str(caught.value))[0])
    model = learn_tokenizer(SENTENCES, vocab_size=size, languages=["de"], model_type=model_type)
    assert Tokenizer.from_bytes(model).vocab_size == size


def test_the_same_text_gives_the_same_model() -> None:
    models = {learn_tokenizer(iter(SENTENCES), vocab_size=60, languages=["de"]) for _ in range(3)}
    assert len(models) == 1


def test_a_frequent_word_is_one_piece_and_a_number_is_its_digits() -> None:
    model = learn_tokenizer(SENTENCES, vocab_size=70, languages=["de"], model_type="bpe")
    tokenizer = Tokenizer.from_bytes(model)
    assert len(tokenizer.encode("the cat")) == 2
    digits = [text for text in (tokenizer.decode([i]).text for i in range(70)) if any(map(str.isdigit, text))]
    assert sorted(digits) == list("0123456789")


def test_text_is_taken_as_it_is() -> None:
    sentences = [sentence + " \uff21\ufb01" for sentence in SENTENCES]
    tokenizer = Tokenizer.from_bytes(learn_tokenizer(sentences, vocab_size=60, languages=["de"]))
    assert tokenizer.decode(tokenizer.encode("\uff21\ufb01")).text == "\uff21\ufb01"


def test_rare_characters_are_left_out_below_full_coverage() -> None:
    sentences = [*SENTENCES, "\u2665"]
    for coverage, known in ((1.0, True), (0.99, False)):
        model = learn_tokenizer(sentences, vocab_size=60, languages=["de"], character_coverage=coverage)
        assert (Tokenizer.unk_id not in Tokenizer.from_bytes(model).encode("\u2665")) is known


def test_no_file_is_left_and_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    learn_tokenizer(SENTENCES, vocab_size=60, languages=["de"])
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "sentences", [pytest.param([], id="no sentence"), pytest.param(["", ""], id="only empty sentences")]
)
def test_no_text_is_refused(sentences: list[str]) -> None:
    with pytest.raises(CorpusError, match="No text came to learn a tokenizer from"):
        learn_tokenizer(sentences, vocab_size=60, languages=["de"])


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(CorpusError, match="Training sentence 2 holds a lone surrogate"):
        learn_tokenizer(["a", "a\ud800"], vocab_size=60, languages=["de"])


def test_an_error_of_the_corpus_is_told() -> None:
    def broken() -> Iterator[str]:
        yield "a sentence"
        raise CorpusError("line 2 is not UTF-8")

    with pytest.raises(CorpusError, match=r"^line 2 is not UTF-8$"):
        learn_tokenizer(broken(), vocab_size=60, languages=["de"])


@pytest.mark.parametrize("language", ["", "d", "de>", "<2de>", "d e", "de,en"])
def test_a_malformed_language_is_refused(language: str) -> None:
    with pytest.raises(LanguageError, match="is not a language code"):
        learn_tokenizer(SENTENCES, vocab_size=60, languages=[language])


def test_a_language_that_comes_twice_is_refused() -> None:
    with pytest.raises(LanguageError, match="'de' came twice"):
        learn_tokenizer(SENTENCES, vocab_size=60, languages=["de", "en", "de"])


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="vocab_size is 0"):
        learn_tokenizer(SENTENCES, vocab_size=0, languages=["de"])
    with pytest.raises(ConfigError, match=r"character_coverage is 1\.5"):
        learn_tokenizer(SENTENCES, vocab_size=60, languages=["de"], character_coverage=1.5)
    with pytest.raises(ConfigError, match="threads is 0"):
        learn_tokenizer(SENTENCES, vocab_size=60, languages=["de"], threads=0)
