"""The kernels against PyTorch's operations: the same sums, and what follows them within float32's last digits."""

import shutil
import subprocess
from collections.abc import Iterator
from math import ceil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.translator.conftest import needs_kernels
from tests.translator.kernel_calls import attend, best, lstm, multiply, origins, packed
from translator import kernels
from translator.arrays import LEVELS
from translator.batch import pad
from translator.encoder import Encoder
from translator.kernel_model import KernelEncoder
from translator.kernels import Int8Product
from translator.lstm_cell import lstm_cell
from translator.threads import set_thread_count, thread_count

pytestmark = needs_kernels

NONE, VNNI, AMX = range(3)
LIBRARIES = [path for path in sorted(Path(kernels.__file__).parent.glob("_kernels*.so")) if kernels._opened(path)]


@pytest.fixture(scope="module", autouse=True, params=LIBRARIES, ids=lambda path: path.name.split(".")[0])
def _library(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each that this processor can run has a turn, also the one that the quicker one hides."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_library", lambda: kernels._opened(request.param))
        yield


seeds = st.integers(0, 10**6)
widths = st.sampled_from([1, 5, 16, 63, 64, 65, 130])
rows_of = st.sampled_from([1, 2, 3, 5, 8, 9, 16, 17, 31, 32, 33, 70])


def at_level(product: Int8Product, level: int) -> Int8Product:
    """Computes with what slower processors have."""
    product.library = product.library._replace(level=min(level, product.library.level))
    return product


def uniform(*shape: int, bound: float = 1.0) -> Tensor:
    return (torch.rand(shape) * 2 - 1) * bound


def quantised(weight: Tensor, x: Tensor, bound: float) -> tuple[Tensor, Tensor, Tensor]:
    """Levels of weights and rows as whole numbers, and what a unit of their product is worth."""
    scale = weight.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / LEVELS
    levels = (weight / scale[:, None]).round().long()
    return levels, torch.floor(x * (LEVELS / bound) + 0.5).long(), scale.double() * bound / LEVELS


@settings(max_examples=60)
@given(rows=rows_of, width=widths, out=widths, level=st.sampled_from([VNNI, AMX]), seed=seeds)
def test_a_product_is_the_sum_of_whole_numbers(rows: int, width: int, out: int, level: int, seed: int) -> None:
    torch.manual_seed(seed)
    weight, bias, bound = torch.randn(out, width), torch.randn(out), 2.0
    x = (uniform(rows, width) * LEVELS).round() * (bound / LEVELS)  # on a level, so that rounding cannot differ
    levels, of_rows, unit = quantised(weight, x, bound)
    exact = (of_rows @ levels.t()).double() * unit + bias.double()
    found = multiply(at_level(packed(weight, bias, bound=bound), level), x)
    torch.testing.assert_close(found, exact.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("width", "out"), [(64, 257), (700, 300), (2100, 528), (130, 1100)])
def test_a_product_of_many_stretches_is_that_of_its_parts(width: int, out: int, threads: int) -> None:
    """More blocks than one thread takes at once, odd ones at the end, and rows enough to fetch weights ahead."""
    torch.manual_seed(0)
    weight, bias = torch.randn(out, width), torch.randn(out)
    whole = packed(weight, bias, bound=1)
    parts = [packed(*part, bound=1) for part in zip(weight.split(16), bias.split(16), strict=True)]
    before = thread_count()
    set_thread_count(threads)
    try:
        for rows in (2, 31, 33, 70, 150):
            x = uniform(rows, width)
            assert torch.equal(multiply(whole, x), torch.cat([multiply(part, x) for part in parts], dim=1))
    finally:
        set_thread_count(before)


@settings(max_examples=20)
@given(rows=rows_of, level=st.sampled_from([VNNI, AMX]), seed=seeds)
def test_a_row_is_the_same_to_the_bit_alone_and_in_company(rows: int, level: int, seed: int) -> None:
    torch.manual_seed(seed)
    product = at_level(packed(torch.randn(50, 70), torch.randn(50), bound=1), level)
    x = uniform(rows, 70)
    assert torch.equal(multiply(product, x), torch.cat([multiply(product, row) for row in x.split(1)]))


def test_rows_may_be_strided() -> None:
    product, x = packed(torch.randn(20, 30), None, bound=1), uniform(4, 50)
    assert torch.equal(multiply(product, x[:, 10:40]), multiply(product, x[:, 10:40].contiguous()))


def test_what_is_larger_than_the_bound_is_cut_off() -> None:
    product = packed(torch.ones(1, 1), None, bound=1)
    found = multiply(product, torch.tensor([[5.0], [-5.0], [1e9], [-1e9]]))
    torch.testing.assert_close(found, torch.tensor([[1.0], [-128 / LEVELS]] * 2))


@settings(max_examples=30)
@given(rows=rows_of, width=st.sampled_from([1, 4, 16, 33]), table=st.booleans(), more=st.booleans(), seed=seeds)
def test_an_lstm_step_is_that_of_pytorch(rows: int, width: int, table: bool, more: bool, seed: int) -> None:
    torch.manual_seed(seed)
    product = packed(torch.randn(4 * width, 2 * width), torch.randn(4 * width), bound=1)
    left, right, cell = uniform(rows, width), uniform(rows, width), torch.randn(rows, width)
    entries, which = torch.randn(7, 4 * width).bfloat16(), torch.randint(7, (rows, 2))[:, 1]  # a column
    added = torch.randn(rows, 4 * width + 9)[:, 5 : 5 + 4 * width]
    gates = multiply(product, torch.cat([left, right], dim=1))
    gates += entries[which].float() if table else 0.0
    gates += added if more else 0.0
    expected = lstm_cell(gates, cell)
    given_table = (entries, which) if table else None
    found = lstm(product, cell, left, right, more=added if more else None, table=given_table)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("gate", [-200.0, -90.0, -0.1, 0.0, 1e-4, 0.124, 0.126, 3.0, 90.0, 200.0])
def test_gates_that_are_far_out_neither_overflow_nor_cancel(gate: float) -> None:
    product = packed(torch.zeros(4, 1), None, bound=1)
    gates, cell = torch.full((1, 4), gate), torch.full((1, 1), 0.3)
    expected = lstm_cell(gates.double().clone(), cell.double())
    found = lstm(product, cell, torch.zeros(1, 1), more=gates)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other.float(), rtol=2e-6, atol=1e-37)


@settings(max_examples=30)
@given(rows=rows_of, out=st.integers(9, 1200), wanted=st.integers(1, 9), level=st.sampled_from([VNNI, AMX]), seed=seeds)
def test_the_best_are_those_of_a_full_sort(rows: int, out: int, wanted: int, level: int, seed: int) -> None:
    torch.manual_seed(seed)
    product = at_level(packed(torch.randn(out, 20), torch.randn(out) * 3, bound=1), level)
    x, allowed = uniform(rows, 20), torch.rand(out) < 0.7
    allowed[:wanted] = True
    log_probs, ids = best(product, x, allowed=allowed, wanted=wanted)
    everything = multiply(product, x).log_softmax(dim=1)
    expected = everything.masked_fill(~allowed, -torch.inf).sort(dim=1, descending=True, stable=True)
    torch.testing.assert_close(log_probs, expected.values[:, :wanted], rtol=1e-5, atol=1e-5)
    assert torch.equal(ids, expected.indices[:, :wanted])


def test_of_equals_the_lower_one_comes_first_whoever_found_it() -> None:
    product = packed(torch.zeros(1500, 8), None, bound=1)
    allowed = torch.ones(1500, dtype=torch.bool)
    allowed[1] = False
    log_probs, ids = best(product, uniform(3, 8), allowed=allowed, wanted=4)
    assert ids.tolist() == [[0, 2, 3, 4]] * 3
    torch.testing.assert_close(log_probs, torch.full((3, 4), -torch.tensor(1500.0).log().item()))


@pytest.mark.parametrize("bias", [-torch.inf, torch.nan], ids=["impossible", "not a number"])
def test_where_nothing_is_likely_nothing_is_certain(bias: float) -> None:
    product = packed(torch.randn(20, 8), torch.full((20,), bias), bound=1)
    log_probs, _ = best(product, uniform(2, 8), allowed=torch.ones(20, dtype=torch.bool), wanted=3)
    assert (log_probs == -torch.inf).all()


def test_fewer_than_are_wanted_leave_places_empty() -> None:
    product = packed(torch.randn(20, 8), None, bound=1)
    allowed = torch.zeros(20, dtype=torch.bool)
    allowed[7] = True
    log_probs, ids = best(product, uniform(2, 8), allowed=allowed, wanted=3)
    assert ids[:, 0].tolist() == [7, 7]
    assert (log_probs[:, 0] <= 0).all()
    assert (log_probs[:, 1:] == -torch.inf).all()


@settings(max_examples=30)
@given(rows=st.integers(1, 20), heads=st.integers(1, 3), key=widths, value=widths, seed=seeds)
def test_attention_is_that_of_pytorch(rows: int, heads: int, key: int, value: int, seed: int) -> None:
    torch.manual_seed(seed)
    lengths = torch.tensor([3, 8, 5])
    padding = torch.arange(8) >= lengths[:, None]
    keys, values = torch.randn(3, 8, heads * key), torch.randn(3, 8, heads * value).bfloat16()
    queries, of = torch.randn(rows, heads * key) / key**0.5, torch.randint(3, (rows,))
    scores = torch.einsum("nhd,nshd->nhs", queries.unflatten(1, (heads, -1)), keys[of].unflatten(2, (heads, -1)))
    shares = scores.masked_fill(padding[of][:, None], -torch.inf).softmax(dim=2)
    expected = torch.einsum("nhs,nshm->nm", shares, values[of].float().unflatten(2, (heads, -1)))
    context, weights = attend(queries, 4 * of + 3, keys, values, padding, beam_size=4, heads=heads)
    torch.testing.assert_close(context, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights, shares.mean(dim=1), rtol=1e-4, atol=1e-6)
    assert (weights[padding[of]] == 0).all()


class _Rounded(nn.Module):
    """An LSTM layer word by word, its rows and weights rounded as the kernels round them."""

    def __init__(self, layer: nn.Module, bound: float) -> None:
        super().__init__()
        weights = {name: weight.detach() for name, weight in layer.named_parameters()}
        self.inputs, self.recurrent = weights["weight_ih_l0"], weights["weight_hh_l0"]
        self.bias, self.bound = weights["bias_ih_l0"] + weights["bias_hh_l0"], bound

    @staticmethod
    def product(weight: Tensor, x: Tensor, bound: float) -> Tensor:
        levels, rows, unit = quantised(weight, x, bound)
        return ((rows @ levels.t()).double() * unit).float()

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        hidden = cell = x.new_zeros(len(x), self.recurrent.shape[1])
        outputs = []
        for step in range(x.shape[1]):
            gates = self.product(self.inputs, x[:, step], self.bound) + self.bias
            enter, forget, candidate, leave = (gates + self.product(self.recurrent, hidden, 1)).chunk(4, dim=1)
            cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
            hidden = leave.sigmoid() * cell.tanh()
            outputs.append(hidden)
        return torch.stack(outputs, dim=1), None


@pytest.mark.parametrize("lengths", [[6], [1, 6, 3], [*[4] * 40, 9, 1]], ids=["one", "three", "two groups"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_encoder_is_the_one_that_trains_but_for_rounding(lengths: list[int], layers: int, threads: int) -> None:
    torch.manual_seed(1)
    encoder = Encoder(input_size=10, hidden_size=8, layers=layers, dropout=0.0).eval()
    embedded, source = torch.randn(len(lengths), max(lengths), 10), pad([[5] * length for length in lengths], 0)
    bound = ceil(float(embedded.abs().max()))
    before = thread_count()
    set_thread_count(threads)
    with torch.no_grad():
        weights = {name: weight.numpy() for name, weight in encoder.state_dict().items()}
        outputs, summary = map(
            torch.from_numpy, KernelEncoder(weights, bound=bound)(embedded.numpy(), source.lengths.numpy())
        )
        for directions in (encoder.forwards, encoder.backwards):
            for depth, layer in enumerate(directions):
                directions[depth] = _Rounded(layer, depth or bound)
        expected = encoder(embedded, source)
    set_thread_count(before)
    real = source.mask[..., None]
    # A number beside the border of two levels may fall on the other side, which is a level's worth somewhere.
    difference = (outputs - expected.encoder_outputs) * real
    assert difference.abs().max() < 0.02
    assert difference.abs().mean() < 1e-4
    torch.testing.assert_close(summary, expected.summary, atol=0.02, rtol=0)
    assert (outputs[~source.mask] == 0).all()


@pytest.mark.parametrize("what", ["of an older version", "without a function", "no library", "nothing"])
def test_a_file_that_does_not_fit_is_not_used(tmp_path: Path, what: str) -> None:
    """A stale or broken file must not be called: it would be read by another understanding of what it is given."""
    file = tmp_path / "_kernels.so"
    source = {
        "of an older version": "int carousel_interface(void) { return 0; } int carousel_level(void) { return 2; }",
        "without a function": f"int carousel_interface(void) {{ return {kernels.INTERFACE}; }} "
        "int carousel_level(void) { return 2; }",
    }.get(what)
    if source is not None:
        if (compiler := shutil.which("cc")) is None:
            pytest.skip("there is no C compiler")
        subprocess.run([compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", file], input=source, text=True, check=True)
    elif what == "no library":
        file.write_text("what is this?")
    assert kernels._opened(file) is None


def test_what_was_not_built_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_library", lambda: None)
    assert not kernels.available()
    with pytest.raises(RuntimeError, match="the kernels are not available here"):
        packed(torch.ones(1, 1), None, bound=1)


def test_the_kernels_share_the_threads_of_pytorch() -> None:
    """Two pools of threads would wait for one another's cores."""
    with open("/proc/self/maps") as maps:
        paths = {Path(line.split()[-1]) for line in maps if "/" in line}
    # Others bring a copy under a name of its own (libgomp-6a29c32d.so.1).
    assert len([path for path in paths if path.name.startswith("libgomp.so")]) == 1


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 12), st.sampled_from([1, 16, 33, 256]), seeds)
def test_origins_are_what_the_readout_says_of_each_position_alone(
    batch: int, tokens: int, length: int, width: int, seed: int
) -> None:
    torch.manual_seed(seed)
    states, sources, written = (
        torch.randn(batch, tokens, width),
        torch.randn(batch, length, width),
        torch.randn(batch, tokens, width),
    )
    readouts = (states[:, :, None] + sources[:, None]).double().tanh()  # [B, T, S, E]
    expected = (readouts * written[:, :, None].double()).sum(dim=3)
    torch.testing.assert_close(origins(states, sources, written), expected.float(), rtol=1e-4, atol=1e-4)
