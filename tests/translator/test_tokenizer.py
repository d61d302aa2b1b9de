"""Ids and text: what goes in comes out, spans fit, and foreign models are refused."""

import io
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import SentencePieceTrainer

from training.tokenizer import learn_tokenizer
from translator.errors import CheckpointError, InputError, LanguageError
from translator.tokenizer import Tokenizer

KNOWN = "abcdefghijklmnopqrstuvwxyz.,"
SENTENCES = [f"the {KNOWN[i:]} cat {KNOWN[:i]} sat, and sat {KNOWN[i]}." for i in range(len(KNOWN))] * 2
SPECIAL = {Tokenizer.pad_id, Tokenizer.unk_id, Tokenizer.bos_id, Tokenizer.eos_id}
MODELS = {
    kind: learn_tokenizer(SENTENCES, vocab_size=60, languages=["de", "en"], model_type=kind, threads=1)
    for kind in ("unigram", "bpe")
}


def normalised(alphabet: str) -> st.SearchStrategy[str]:
    return st.lists(st.text(alphabet, min_size=1, max_size=8), max_size=8).map(" ".join)


NORMALISED = normalised(KNOWN)
WITH_UNKNOWN = normalised(KNOWN + "\u2665\u00e9<2de>\u4f60")


@pytest.fixture(params=["unigram", "bpe"], scope="module")
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.from_bytes(MODELS[request.param])


@given(NORMALISED)
def test_text_of_known_characters_survives_the_round_trip(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids).text == text
    assert not SPECIAL & set(ids)


@given(WITH_UNKNOWN)
def test_unknown_characters_survive_when_their_source_is_given(tokenizer: Tokenizer, text: str) -> None:
    ids, spans = tokenizer.encode_with_spans(text)
    unknown = [text[start:end] for start, end in spans]
    assert tokenizer.decode(ids, unknown=unknown).text == text


@given(WITH_UNKNOWN)
def test_spans_tile_the_text_and_come_back(tokenizer: Tokenizer, text: str) -> None:
    ids, spans = tokenizer.encode_with_spans(text)
    assert ids == tokenizer.encode(text)
    assert len(spans) == len(ids)
    assert "".join(text[start:end] for start, end in spans) == text
    decoded = tokenizer.decode(ids, unknown=[text[start:end] for start, end in spans])
    assert decoded.spans == spans


@given(st.lists(st.integers(0, 59), max_size=30))
def test_any_ids_give_tidy_text_and_spans_that_tile_it(tokenizer: Tokenizer, ids: list[int]) -> None:
    text, spans = tokenizer.decode(ids)
    assert text == " ".join(text.split())
    assert len(spans) == len(ids)
    assert "".join(text[start:end] for start, end in spans) == text


@given(NORMALISED, st.integers(1, 9))
def test_every_segmentation_is_the_same_text_and_the_first_is_the_usual_one(
    tokenizer: Tokenizer, text: str, count: int
) -> None:
    ways = tokenizer.segmentations(text, count)
    assert ways[0][0] == tokenizer.encode(text)
    assert 1 <= len(ways) <= count
    assert len({tuple(ids) for ids, _ in ways}) == len(ways)
    assert {tokenizer.decode(ids, unknown=[""] * len(ids)).text for ids, _ in ways} == {
        tokenizer.decode(ways[0][0], unknown=[""] * len(ways[0][0])).text
    }
    scores = [score for _, score in ways]
    assert all(one > other - 1e-3 for one, other in pairwise(scores))  # sums of float32, in two orders


@pytest.mark.parametrize("symbol", ["<2de>", "<s>", "</s>", "<pad>", "<unk>", "a <2en> b"])
def test_a_control_symbol_that_a_user_types_is_plain_text(tokenizer: Tokenizer, symbol: str) -> None:
    ids, spans = tokenizer.encode_with_spans(symbol)
    controls = {
        tokenizer.pad_id,
        tokenizer.bos_id,
        tokenizer.eos_id,
        *map(tokenizer.language_id, tokenizer.languages),
    }
    assert not controls & set(ids)
    assert tokenizer.decode(ids, unknown=[symbol[start:end] for start, end in spans]).text == symbol


def test_special_tokens_become_nothing(tokenizer: Tokenizer) -> None:
    german, ids = tokenizer.language_id("de"), tokenizer.encode("cat")
    text, spans = tokenizer.decode([tokenizer.bos_id, german, *ids, tokenizer.eos_id, tokenizer.pad_id])
    assert text == "cat"
    assert [spans[i] for i in (0, 1, -2, -1)] == [(0, 0), (0, 0), (3, 3), (3, 3)]


def test_an_unknown_id_is_a_mark_or_the_word_given(tokenizer: Tokenizer) -> None:
    ids = [*tokenizer.encode("a "), tokenizer.unk_id]
    assert tokenizer.decode(ids).text == "a \u2047"
    assert tokenizer.decode(ids, unknown=["Tom"] * len(ids)).text == "a Tom"


def test_a_batch_is_its_texts_one_by_one(tokenizer: Tokenizer) -> None:
    texts = ["the cat", "", "sat \u2665"]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]
    assert tokenizer.encode_batch(texts, threads=2) == tokenizer.encode_batch(texts)
    assert tokenizer.encode_batch([]) == []


def test_languages_have_distinct_ids_after_the_special_ones(tokenizer: Tokenizer) -> None:
    assert tokenizer.languages == ("de", "en")
    assert [tokenizer.language_id(language) for language in tokenizer.languages] == [4, 5]
    with pytest.raises(LanguageError, match="'fr' is not a language of this tokenizer; choose from: de, en"):
        tokenizer.language_id("fr")


def test_its_bytes_make_the_same_tokenizer(tokenizer: Tokenizer) -> None:
    again = Tokenizer.from_bytes(tokenizer.to_bytes())
    assert again.to_bytes() == tokenizer.to_bytes()
    assert again.vocab_size == tokenizer.vocab_size == 60


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"garbage", id="garbage"),
        pytest.param(MODELS["unigram"][:100], id="cut short"),
        pytest.param(b"\x00" + MODELS["unigram"], id="altered"),
    ],
)
def test_garbage_is_refused(model: bytes) -> None:
    with pytest.raises(CheckpointError, match="is not a SentencePiece model, or was cut short"):
        Tokenizer.from_bytes(model)


def foreign_model(**settings: Any) -> bytes:
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=model, vocab_size=60, minloglevel=2, **settings
    )
    return model.getvalue()


def test_a_model_with_other_special_ids_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"at \(-1, 0, 1, 2\), where \(0, 1, 2, 3\) is wanted"):
        Tokenizer.from_bytes(foreign_model())


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"normalization_rule_name": "nmt_nfkc"}, id="compatibility forms folded"),
        pytest.param({"normalization_rule_name": "identity"}, id="double spaces folded"),
    ],
)
def test_a_model_that_normalises_by_itself_is_refused(settings: dict[str, Any]) -> None:
    model = foreign_model(pad_id=0, unk_id=1, bos_id=2, eos_id=3, **settings)
    with pytest.raises(CheckpointError, match="normalises text by itself"):
        Tokenizer.from_bytes(model)


def test_input_that_cannot_be_taken_is_explained(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="lone surrogate"):
        tokenizer.encode("a\ud800")
    with pytest.raises(InputError, match="lone surrogate"):
        tokenizer.encode_with_spans("a\ud800")
    with pytest.raises(InputError, match="lone surrogate"):
        tokenizer.segmentations("a\ud800", 2)
    with pytest.raises(InputError, match="Id 60 is not in the vocabulary; give 0 to 59"):
        tokenizer.decode([60])
    with pytest.raises(InputError, match="1 replacements came for 2 ids"):
        tokenizer.decode([1, 1], unknown=["a"])
