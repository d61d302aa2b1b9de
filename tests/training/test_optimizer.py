"""Which weights decay, and in which precision products run. (AdamW's first step is in test_trainer.)"""

from typing import Literal

import pytest
import torch
from torch import nn

import training.optimizer
from training.config import TrainingConfig
from training.optimizer import choose_precision, make_optimizer
from translator.errors import ConfigError

CPU = torch.device("cpu")


def test_decay_pulls_on_matrices_and_nothing_else() -> None:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    optimizer = make_optimizer(model, TrainingConfig(max_steps=1, weight_decay=0.25, beta1=0.8, beta2=0.9))
    matrices, vectors = optimizer.param_groups
    assert ([weight.dim() for weight in matrices["params"]], matrices["weight_decay"]) == ([2, 2], 0.25)
    assert ([weight.dim() for weight in vectors["params"]], vectors["weight_decay"]) == ([1], 0.0)
    assert optimizer.defaults["betas"] == (0.8, 0.9)


@pytest.mark.parametrize("wanted", ["bfloat16", "float32"])
def test_a_precision_that_is_asked_for_is_taken(
    monkeypatch: pytest.MonkeyPatch, wanted: Literal["bfloat16", "float32"]
) -> None:
    monkeypatch.setattr(training.optimizer, "can_learn_in_bfloat16", lambda: True)
    assert choose_precision(wanted, CPU) == wanted


def test_bfloat16_is_refused_where_no_lstm_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.optimizer, "can_learn_in_bfloat16", lambda: False)
    assert choose_precision("float32", CPU) == "float32"
    with pytest.raises(ConfigError, match=r"precision is bfloat16, which PyTorch's LSTM has not .* choose float32 or"):
        choose_precision("bfloat16", CPU)


@pytest.mark.parametrize(
    ("vectors", "tiles", "chosen"),
    [
        pytest.param(True, False, "bfloat16", id="AVX-512"),
        pytest.param(False, True, "bfloat16", id="AMX"),
        pytest.param(False, False, "float32", id="neither"),
    ],
)
def test_auto_takes_bfloat16_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, vectors: bool, tiles: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: vectors, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles, raising=False)
    assert choose_precision("auto", CPU) == chosen


def test_auto_takes_float32_where_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    for question in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, question, raising=False)
    assert choose_precision("auto", CPU) == "float32"
