"""Packed products: near the exact one by what rounding allows, and the same for a row alone and in company."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.translator.conftest import COMPUTE_TYPES, PYTORCH_TYPES, needs_vnni
from translator import kernels
from translator.arrays import LEVELS
from translator.compute_type import ComputeType, choose_compute_type
from translator.errors import ConfigError
from translator.products import _rounded_up, make_product

sizes = st.integers(1, 40)


@settings(max_examples=60)
@given(
    st.sampled_from(PYTORCH_TYPES),
    sizes,
    sizes,
    sizes,
    st.sampled_from([1.0, 2.0]),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_a_product_is_exact_but_for_rounding(
    compute_type: ComputeType, rows: int, width: int, out: int, bound: float, with_bias: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    x = (torch.rand(rows, width) * 2 - 1) * bound
    weight, bias = torch.randn(out, width), torch.randn(out) if with_bias else None
    found = make_product(weight, bias, bound=bound, compute_type=compute_type)(x)
    exact = x.double() @ weight.double().t() + (0 if bias is None else bias.double())
    magnitudes = x.abs() @ weight.abs().t()
    # Half a level for each factor of int8; half of the last of bfloat16's 8 bits for each factor, and for the result.
    of_rows = bound / LEVELS / 2 * weight.abs().sum(dim=1)
    of_weights = weight.abs().amax(dim=1) / LEVELS / 2 * (x.abs().sum(dim=1, keepdim=True) + width * bound / LEVELS)
    allowed = {
        "float32": magnitudes * 1e-6,
        "bfloat16": magnitudes * ((1 + 2**-8) ** 3 - 1),
        "int8": of_rows + of_weights,
    }
    assert found.dtype == torch.float32
    assert found.shape == (rows, out)
    assert ((found - exact).abs() <= allowed[compute_type] + 1e-5).all()


@needs_vnni
@settings(max_examples=20)
@given(st.integers(1, 70), st.integers(0, 10**6))
def test_an_int8_row_has_the_same_product_alone_and_in_company(rows: int, seed: int) -> None:
    torch.manual_seed(seed)
    x = torch.rand(rows, 24) * 2 - 1
    product = make_product(torch.randn(9, 24), torch.randn(9), bound=1, compute_type="int8")
    together = product(x)
    alone = torch.cat([product(x[n : n + 1]) for n in range(rows)])
    # The sums are whole numbers and equal; where AMX takes over for many rows, scale and bias round in another order.
    torch.testing.assert_close(alone, together, rtol=0, atol=2e-6)


@needs_vnni
@pytest.mark.parametrize("rows", [1, 20, 500])
def test_int8_runs_in_a_kernel_made_for_the_processor(rows: int) -> None:
    code = (
        "import torch; from translator.products import make_product; "
        "product = make_product(torch.randn(64, 48), None, bound=1, compute_type='int8'); "
        f"product(torch.rand({rows}, 48))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"ONEDNN_VERBOSE": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    used = [line.split(",")[6] for line in result.stdout.splitlines() if ",exec,cpu,matmul," in line]
    assert len(used) == 1
    assert any(name in used[0] for name in ("vnni", "amx", "avx10")), used  # AVX10 has the instructions of VNNI


@needs_vnni
def test_the_bound_itself_is_a_level_that_can_be_reached() -> None:
    product = make_product(torch.eye(2) * LEVELS, None, bound=3, compute_type="int8")
    extremes = torch.tensor([[3.0, -3.0]])
    torch.testing.assert_close(product(extremes), extremes * LEVELS)


@given(st.integers(1, 100_000))
def test_rows_are_rounded_up_a_little_and_to_few_numbers(count: int) -> None:
    rounded = _rounded_up(count)
    assert count <= rounded < count + max(16, count / 8)
    assert rounded == count if count <= 16 else rounded % 16 == 0
    assert rounded == _rounded_up(rounded)


def test_there_are_few_kernels() -> None:
    assert len({_rounded_up(count) for count in range(1, 8193)}) <= 16 + 8 * 13


@pytest.mark.parametrize("wanted", COMPUTE_TYPES)
def test_what_is_wanted_is_taken(wanted: ComputeType) -> None:
    assert choose_compute_type(wanted, "cpu") == wanted


@pytest.mark.parametrize(
    ("own", "vnni", "bfloat16", "best"),
    [
        (True, False, False, "int8"),
        (False, True, True, "int8"),
        (False, True, False, "int8"),
        (False, False, True, "bfloat16"),
        (False, False, False, "float32"),
    ],
)
def test_auto_takes_the_quickest_that_the_processor_has(
    monkeypatch: pytest.MonkeyPatch, own: bool, vnni: bool, bfloat16: bool, best: ComputeType
) -> None:
    monkeypatch.setattr(kernels, "available", lambda: own)
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: vnni)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bfloat16)
    assert choose_compute_type("auto", "cpu") == best
    assert choose_compute_type("auto", "meta") == "float32"


@pytest.mark.parametrize(
    ("device", "place"), [("meta", "on meta"), ("cpu", "on this processor without Carousel's kernels")]
)
def test_int8_is_refused_where_it_cannot_be_had(monkeypatch: pytest.MonkeyPatch, device: str, place: str) -> None:
    monkeypatch.setattr(kernels, "available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    with pytest.raises(ConfigError, match=f"int8 is not to be had {place}; choose bfloat16, float32 or auto"):
        choose_compute_type("int8", device)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ConfigError, match="compute_type is 'float16', wanted auto, int8, bfloat16, float32"):
        choose_compute_type("float16", "cpu")  # type: ignore[arg-type]
