"""Forced decoding says of the search's hypotheses what the search said, and of others what the plain model says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.translator import numpy_model
from tests.translator.conftest import COMPUTE_TYPES, engine_of, make_model
from translator import forced_decoding
from translator.checkpoint import Checkpoint
from translator.compute_type import ComputeType
from translator.config import DecodingOptions
from translator.decoding import decode_all
from translator.forced_decoding import score_all
from translator.pytorch_engine import PyTorchEngine
from translator.scoring import length_penalty
from translator.tokenizer import Tokenizer

EOS = Tokenizer.eos_id
MODEL = make_model(13)
ENGINE = PyTorchEngine(MODEL, pad_id=Tokenizer.pad_id)
pieces = st.lists(st.integers(4, 23), max_size=6).map(lambda ids: [*ids, EOS])


@pytest.mark.parametrize("compute_type", COMPUTE_TYPES)
def test_hypotheses_of_the_search_are_scored_as_the_search_scored_them(
    checkpoint: Checkpoint, compute_type: ComputeType
) -> None:
    engine = engine_of(checkpoint.model, compute_type)
    language = checkpoint.tokenizer.language_id("de")
    sources = [[language, *checkpoint.tokenizer.encode(text), EOS] for text in ("the small dog", "Why?", "the sea")]
    options = DecodingOptions(beam_size=3, n_best=3, length_penalty=0.7)
    found = decode_all(engine, checkpoint.tokenizer, sources, options=options)
    pairs = [(source, hypothesis) for source, best in zip(sources, found, strict=True) for hypothesis in best]
    said = [(source, hypothesis) for source, hypothesis in pairs if hypothesis.finished]
    assert len(said) > 1
    scored = score_all(engine, [(source, hypothesis.token_ids) for source, hypothesis in said], alpha=0.7)
    for (_, expected), hypothesis in zip(said, scored, strict=True):
        assert hypothesis.token_ids == expected.token_ids
        assert hypothesis.token_log_probs == pytest.approx(expected.token_log_probs, abs=1e-5)
        assert hypothesis.score == pytest.approx(expected.score, abs=1e-5)
        np.testing.assert_allclose(hypothesis.attention_weights, expected.attention_weights, atol=1e-5)
        # The search remembers states in bfloat16.
        np.testing.assert_allclose(hypothesis.posterior_weights, expected.posterior_weights, atol=1e-2)


@settings(max_examples=20)
@given(st.lists(st.tuples(pieces, pieces), max_size=5), st.integers(1, 40), st.floats(0, 2))
def test_any_pair_in_any_company_is_scored_as_the_plain_model_says(
    pairs: list[tuple[list[int], list[int]]], room: int, alpha: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forced_decoding, "MAX_BATCH_TOKENS", room)
        scored = score_all(ENGINE, pairs, alpha=alpha)
    for (source, target), hypothesis in zip(pairs, scored, strict=True):
        log_probs, attention = numpy_model.decode(MODEL, source, [Tokenizer.bos_id, *target[:-1]])
        expected = [log_probs[step, token] for step, token in enumerate(target)]
        assert hypothesis.token_ids == tuple(target)
        np.testing.assert_allclose(hypothesis.token_log_probs, expected, atol=1e-5)
        np.testing.assert_allclose(hypothesis.attention_weights, attention, atol=1e-5)
        origins = numpy_model.origins(MODEL, source, target)
        np.testing.assert_allclose(hypothesis.posterior_weights, origins, atol=1e-4)
        assert hypothesis.log_prob == pytest.approx(sum(expected), abs=1e-4)
        assert hypothesis.score == pytest.approx(sum(expected) / length_penalty(len(target), alpha), abs=1e-4)


@pytest.mark.parametrize("target", [[], [7, 8], [7, EOS, 8, EOS], [EOS, EOS]])
def test_a_target_ends_with_the_only_eos(target: list[int]) -> None:
    with pytest.raises(ValueError, match=r"a target is \[.*\], wanted ids with eos, 3, at its end alone"):
        score_all(ENGINE, [([8, EOS], target)], alpha=0.0)
