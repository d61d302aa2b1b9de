"""Drawn segmentations: always the same text, the likely ones oftener, the same for the same generator."""

import random
from collections import Counter
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.resegmentation import BEST, Resegmenter
from training.tokenizer import learn_tokenizer
from translator.tokenizer import Tokenizer

LINES = ["the cat sat on the mat", "a dog ran to the cat", "the dog sat and the cat ran"] * 20


@given(st.lists(st.sampled_from(["the", "cat", "sat", "dog", "xyz"]), max_size=8).map(" ".join), st.integers())
def test_a_draw_is_the_same_text_and_the_same_again(tokenizer: Tokenizer, text: str, seed: int) -> None:
    one, other = (Resegmenter(tokenizer).draw(text, random.Random(seed)) for _ in range(2))
    assert one == other
    unknown = [""] * len(one)
    plain = tokenizer.encode(text)
    assert tokenizer.decode(one, unknown=unknown).text == tokenizer.decode(plain, unknown=[""] * len(plain)).text


def test_likely_ways_are_drawn_oftener_and_no_more_than_the_best(tokenizer: Tokenizer) -> None:
    resegmenter, chance = Resegmenter(tokenizer), random.Random(1)
    drawn = Counter(tuple(resegmenter.draw("the", chance)) for _ in range(2000))
    ways = [tuple(ids) for ids, _ in tokenizer.segmentations("the", BEST)]
    assert set(drawn) == set(ways)
    assert len(ways) > 1
    assert drawn.most_common(1)[0][0] == ways[0]
    assert drawn[ways[0]] > drawn[ways[-1]]


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_a_model_that_knows_one_way_draws_that(model_type: Literal["unigram", "bpe"]) -> None:
    model = learn_tokenizer(iter(LINES), vocab_size=24, languages=["de", "en"], model_type=model_type)
    tokenizer, chance = Tokenizer.from_bytes(model), random.Random(1)
    drawn = {tuple(Resegmenter(tokenizer).draw("the cat", chance)) for _ in range(50)}
    assert (len(drawn) == 1) is (model_type == "bpe")
