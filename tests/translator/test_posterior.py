"""Where tokens came from: the engine beside Bayes in NumPy, a pair of positions at a time, for models of every make."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.translator import numpy_model
from tests.translator.conftest import COMPUTE_TYPES, engine_of, make_model
from translator import posterior
from translator.compute_type import ComputeType
from translator.forced_decoding import score_all
from translator.pytorch_engine import PyTorchEngine
from translator.tokenizer import Tokenizer

EOS = Tokenizer.eos_id
PAIRS = [([9, 5, 21, 7, EOS], [6, 8, EOS]), ([8, EOS], [4, 4, 17, 5, EOS]), ([4, 4, 17, EOS], [EOS])]
TOLERANCE: dict[ComputeType, float] = {"float32": 1e-4, "bfloat16": 0.05, "int8": 0.1}


@pytest.mark.parametrize("compute_type", COMPUTE_TYPES)
@pytest.mark.parametrize("shortcut", [False, True], ids=["plain", "lexical shortcut"])
@pytest.mark.parametrize("heads", [1, 2])
def test_each_position_counts_by_its_attention_and_what_it_alone_would_say(
    heads: int, shortcut: bool, compute_type: ComputeType
) -> None:
    model = make_model(5, attention_heads=heads, lexical_shortcut=shortcut)
    expected = [numpy_model.origins(model, source, target) for source, target in PAIRS]
    engine = engine_of(model, compute_type)
    for hypothesis, origins in zip(score_all(engine, PAIRS, alpha=0.0), expected, strict=True):
        np.testing.assert_allclose(hypothesis.posterior_weights, origins, atol=TOLERANCE[compute_type])
        np.testing.assert_allclose(hypothesis.posterior_weights.sum(axis=1), 1, atol=1e-5)


@given(st.integers(1, 400))
@settings(max_examples=20)
def test_how_many_are_looked_at_together_changes_nothing(most: int) -> None:
    model = make_model(5)
    engine = PyTorchEngine(model, pad_id=Tokenizer.pad_id)
    together = score_all(engine, PAIRS, alpha=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(posterior, "MOST_AT_ONCE", most)
        apart = score_all(engine, PAIRS, alpha=0.0)
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one.posterior_weights, other.posterior_weights, atol=1e-6)
