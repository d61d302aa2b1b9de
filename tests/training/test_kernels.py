"""The kernels of a training step against what they stand for: PyTorch's own LSTM and loss, in value and in gradient."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from tests.training.small_run import make_trainer
from tests.training.test_loss import Case
from tests.translator.conftest import make_model
from training import kernels, loss
from training.kernels import available, cross_entropy, run_sequence, turn, turned, use_kernels
from translator.lstm import LstmLayer, drop_recurrent_weights

pytestmark = pytest.mark.skipif(not available(), reason="no C compiler (see docs/deploy.md) or no AVX-512 BF16")

VECTORS, AMX = 1, 2
ROUNDING = 2.0**-8
"""What bfloat16 may be off by, once."""
seeds = st.integers(0, 10**6)


@pytest.fixture(params=[VECTORS, AMX], ids=["vectors", "tiles"])
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Computes with what slower processors have, too."""
    library = kernels._needed()
    if request.param > library.level:
        pytest.skip("this processor has no tiles")
    monkeypatch.setattr(kernels, "_library", lambda: library._replace(level=request.param))
    return library.level


class Learnt:
    """What a layer gives for some sentences, and every gradient of a sum of it."""

    def __init__(self, layer: LstmLayer, batch: int, steps: int, seed: int, *, narrow: bool) -> None:
        random = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(shape, generator=random)

        inputs = drawn(batch, steps, layer.input_size).requires_grad_()
        state = [drawn(1, batch, layer.hidden_size).mul(0.5).requires_grad_() for _ in range(2)]
        layer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=narrow):
            outputs, (hidden, cell) = layer(inputs, (state[0], state[1]))
        weighed = [part.float() * drawn(*part.shape) for part in (outputs, hidden, cell)]
        torch.autograd.backward(torch.cat([part.flatten() for part in weighed]).sum())
        learnt = [inputs, *state, *layer.parameters()]
        self.values = [part.detach().float() for part in (outputs, hidden, cell)]
        self.gradients = [part.grad for part in learnt if part.grad is not None]
        assert len(self.gradients) == len(learnt)


def distance(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.usefixtures("level")
@settings(max_examples=15)
@given(
    st.sampled_from([13, 64]),
    st.sampled_from([32, 96]),
    st.sampled_from([1, 2, 15, 16, 17, 32, 33, 50]),
    st.integers(1, 9),
    seeds,
)
def test_a_layer_learns_what_the_equations_say(inputs: int, units: int, batch: int, steps: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = LstmLayer(inputs, units)
    exact = Learnt(layer, batch, steps, seed, narrow=False)
    layer.sequence_kernel = run_sequence
    found = Learnt(layer, batch, steps, seed, narrow=True)
    for one, other in zip(found.values, exact.values, strict=True):
        torch.testing.assert_close(one, other, atol=8 * ROUNDING, rtol=8 * ROUNDING)
    for one, other in zip(found.gradients, exact.gradients, strict=True):
        assert one.dtype == torch.float32
        assert distance(one, other) < 4 * ROUNDING


@pytest.mark.usefixtures("level")
def test_a_sentence_learns_the_same_alone_and_in_any_batch() -> None:
    torch.manual_seed(1)
    layer, inputs = LstmLayer(32, 64), torch.randn(37, 6, 32)
    layer.sequence_kernel = run_sequence
    with torch.autocast("cpu", dtype=torch.bfloat16):
        together = layer(inputs)[0]
        for row in (0, 15, 16, 36):
            assert torch.equal(layer(inputs[row : row + 1])[0][0], together[row])


@pytest.mark.usefixtures("level")
def test_threads_do_not_change_a_digit() -> None:
    torch.manual_seed(2)
    layer = LstmLayer(64, 96)
    layer.sequence_kernel = run_sequence
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            found.append(Learnt(layer, 20, 5, 3, narrow=True))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        for one, same in zip(found[0].values + found[0].gradients, other.values + other.gradients, strict=True):
            torch.testing.assert_close(one, same, atol=0, rtol=0)


def test_a_dropped_recurrent_weight_gets_no_gradient() -> None:
    torch.manual_seed(3)
    layer = LstmLayer(32, 32)
    layer.sequence_kernel = run_sequence
    drop_recurrent_weights(layer, 0.5)
    Learnt(layer, 4, 5, 3, narrow=True)
    gradient = layer.get_parameter("weight_hh_l0").grad
    assert gradient is not None
    assert 0.4 < (gradient == 0).float().mean() < 0.6


def test_gradients_that_nobody_sends_are_zeros() -> None:
    torch.manual_seed(4)
    layer, inputs = LstmLayer(32, 32), torch.randn(3, 5, 32, requires_grad=True)
    layer.sequence_kernel = run_sequence
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, (_, cell) = layer(inputs)
    weight = torch.randn(1, 32, 3)
    (cell.transpose(1, 2) * weight).sum().backward()  # whose gradient is not laid out as the cell is
    found = inputs.grad
    layer.sequence_kernel = None
    _, (_, cell) = layer(inputs)
    (wanted,) = torch.autograd.grad((cell.transpose(1, 2) * weight).sum(), inputs)
    assert found is not None
    assert distance(found, wanted) < 4 * ROUNDING


def test_layers_of_fitting_width_use_them_only_while_they_learn_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = make_model(1), 0

    def counted(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        return run_sequence(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(kernels, "run_sequence", counted)
    fitting, odd = LstmLayer(3, 64), LstmLayer(3, 33)
    assert use_kernels(nn.ModuleList([model, fitting, odd]))
    inputs = torch.randn(2, 3, 3)
    fitting(inputs)
    assert calls == 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        odd(inputs)
        fitting.eval()(inputs)
        assert calls == 0
        fitting.train()(inputs)
        assert calls == 1


def test_a_run_in_bfloat16_learns_by_them_and_one_in_float32_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"encoder_size": 32, "decoder_size": 64}
    calls = []

    def counted(*arguments: object) -> object:
        calls.append(arguments)
        return run_sequence(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(kernels, "run_sequence", counted)
    for precision, expected in (("float32", 0), ("bfloat16", 4)):  # two layers read, two write
        calls.clear()
        trainer = make_trainer(tmp_path, model=sizes, precision=precision)
        before = [weight.detach().clone() for weight in trainer.model.parameters()]
        trainer.update(next(trainer.updates()))
        assert len(calls) == expected
        assert all(not torch.equal(old, new) for old, new in zip(before, trainer.model.parameters(), strict=True))


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 5))
def test_turning(rows: int, columns: int, apart: int) -> None:
    matrix = torch.randn(rows, columns).to(torch.bfloat16)
    assert torch.equal(turned(matrix), matrix.t())
    room = torch.full((columns, rows + apart), 7.0, dtype=torch.bfloat16)
    turn(matrix, room[:, :rows])
    assert torch.equal(room[:, :rows], matrix.t())
    assert torch.equal(room[:, rows:], torch.full((columns, apart), 7.0, dtype=torch.bfloat16))


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 70), st.sampled_from([0.1, 3.0, 40.0]), st.booleans(), seeds)
def test_rows_are_scored_and_become_their_gradient(rows: int, size: int, scale: float, wants: bool, seed: int) -> None:
    torch.manual_seed(seed)
    logits, targets = (torch.randn(rows, size) * scale).to(torch.bfloat16), torch.randint(size, (rows,))
    before = logits.clone()
    found = cross_entropy(logits, targets, 0.9, wants)
    wanted = functional.cross_entropy(before.float(), targets, reduction="none")
    torch.testing.assert_close(found.likelihood, wanted, atol=1e-4, rtol=1e-4)
    assert torch.equal(found.gold_logits, before.float()[torch.arange(rows), targets])
    if not wants:
        assert found.grad_logits is None
        assert torch.equal(logits, before)
        return
    gradient = before.float().softmax(dim=-1) - 0.9 * functional.one_hot(targets, size)
    assert found.grad_logits is not None
    torch.testing.assert_close(found.grad_logits.float(), gradient, atol=1e-6, rtol=ROUNDING)


def test_logits_that_are_far_off_count_nothing() -> None:
    found = cross_entropy(torch.tensor([[0.0, -1e17, 1.0]]).bfloat16(), torch.tensor([2]), 0.9, True)
    torch.testing.assert_close(found.likelihood, torch.tensor([0.3133]), atol=1e-3, rtol=0)
    assert found.grad_logits is not None
    assert found.grad_logits.isfinite().all()


@pytest.mark.parametrize("target", [-1, 5])
def test_a_target_that_is_not_in_the_vocabulary_is_refused(target: int) -> None:
    with pytest.raises(IndexError, match="vocabulary"):
        cross_entropy(torch.zeros(2, 5).bfloat16(), torch.tensor([0, target]), 0.9, True)


def test_what_does_not_fit_is_not_turned() -> None:
    matrix = torch.zeros(3, 4, dtype=torch.bfloat16)
    for wrong, room in [(matrix, matrix), (matrix.t(), torch.zeros(3, 4, dtype=torch.bfloat16))]:
        with pytest.raises(ValueError, match="cannot be turned"):
            turn(wrong, room)


@pytest.mark.parametrize("block", [4, 10, 16, 512], ids=["many blocks", "part of a chunk", "a rest", "one block"])
def test_blocks_do_not_change_the_gradient_of_the_table(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "CHUNK_ROWS", 4)
    monkeypatch.setattr(loss, "BLOCK_ROWS", block)
    case = Case(dtype=torch.bfloat16)
    found = case.gradients(case.loss(0.1).smoothed)
    monkeypatch.setattr(kernels, "available", lambda: False)
    for one, other in zip(found, case.gradients(case.loss(0.1).smoothed), strict=True):
        assert distance(one.float(), other.float()) < 2 * ROUNDING
