"""A text is taken apart without loss and put together again; what is too long for the model is cut, never dropped."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from translator.document import Document
from translator.scoring import Hypothesis
from translator.sentence import SourceSentence
from translator.tokenizer import Tokenizer
from translator.translation import SentenceScore, TranslationRequest

LIMIT = 12


def document(text: str, tokenizer: Tokenizer, limit: int = LIMIT) -> Document:
    return Document(TranslationRequest(text, "en", "de"), tokenizer=tokenizer, max_source_tokens=limit)


def echo(sentence: SourceSentence, tokenizer: Tokenizer) -> Hypothesis:
    """The hypothesis that says the source again, each piece looking at itself."""
    pieces = sentence.ids[1:]
    weights = np.eye(len(pieces), len(sentence.ids), 1, dtype=np.float32)
    return Hypothesis(tuple(pieces), (0.0,) * len(pieces), 0.0, 0.0, weights, weights, True)


def test_a_run_on_sentence_is_cut_to_what_the_model_was_taught_and_keeps_every_word(tokenizer: Tokenizer) -> None:
    text = ", and ".join(["the old dog waits by the sea"] * 20) + "."
    parts = document(text, tokenizer).sentences
    assert len(parts) > 1
    assert all(len(part.ids) <= LIMIT + 2 for part in parts)
    assert " ".join(part.text for part in parts).split() == text.split()


def test_a_word_longer_than_the_limit_is_cut_too(tokenizer: Tokenizer) -> None:
    parts = document("over" * 100, tokenizer).sentences
    assert "".join(part.text for part in parts) == "over" * 100
    assert all(len(part.ids) <= LIMIT + 2 for part in parts)


@settings(max_examples=60)
@given(text=st.text(alphabet="Why the dog?!.,\n\t 05üöß", max_size=120), limit=st.integers(1, 20))
def test_echoing_every_sentence_gives_the_text_back(text: str, limit: int, tokenizer: Tokenizer) -> None:
    whole = document(text, tokenizer, limit)
    for sentence in whole.sentences:
        whole.take(tuple(sentence.ids), [echo(sentence, tokenizer)])
    answer = whole.assemble()
    assert "".join(answer.text.split()) == "".join(text.split())
    assert [line.isspace() or not line for line in answer.text.split("\n")] == [
        line.isspace() or not line for line in text.split("\n")
    ]


def test_a_hypothesis_without_text_gives_way_to_the_next_and_else_to_the_source(tokenizer: Tokenizer) -> None:
    whole = document("Why?", tokenizer)
    looked = np.ones((1, len(whole.sentences[0].ids)), np.float32)
    nothing = Hypothesis((tokenizer.eos_id,), (-1.0,), -1.0, -1.0, looked, looked, True)
    ids = tuple(whole.sentences[0].ids)
    whole.take(ids, [nothing, echo(whole.sentences[0], tokenizer)])
    answer = whole.assemble()
    assert (answer.text, answer.warnings) == ("Why?", ())
    whole.take(ids, [nothing])
    copied = whole.assemble()
    assert copied.text == "Why?"
    assert "No translation was found" in copied.warnings[0]
    assert copied.sentences == (SentenceScore(0, 4, 0, 4, 0.0, None, None),)
    assert copied.confidence is None
    assert json.loads(json.dumps(copied.to_json())) == copied.to_json()
