"""The learning rate's closed forms."""

from math import sqrt
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.schedule import Decay, learning_rate

DECAYS: tuple[Decay, ...] = get_args(Decay)
PEAK, WARMUP, END = 0.5, 40, 240
MIDDLE = (WARMUP + END) // 2


def rate(step: int, decay: Decay, *, warmup_steps: int = WARMUP) -> float:
    return learning_rate(step, peak=PEAK, warmup_steps=warmup_steps, max_steps=END, decay=decay)


@pytest.mark.parametrize("decay", DECAYS)
def test_it_climbs_in_a_straight_line_to_the_peak(decay: Decay) -> None:
    assert [rate(step, decay) for step in range(1, WARMUP + 1)] == pytest.approx(
        [PEAK * step / WARMUP for step in range(1, WARMUP + 1)]
    )


@pytest.mark.parametrize("decay", DECAYS)
@given(step=st.integers(1, END - 1), warmup_steps=st.integers(0, END))
def test_it_never_exceeds_the_peak_and_never_rises_again(decay: Decay, step: int, warmup_steps: int) -> None:
    now, then = (rate(at, decay, warmup_steps=warmup_steps) for at in (step, step + 1))
    assert 0 <= now <= PEAK
    assert (then >= now) if step < warmup_steps else (then <= now)


@pytest.mark.parametrize("decay", ["cosine", "linear"])
@given(distance=st.integers(0, (END - WARMUP) // 2))
def test_cosine_and_linear_are_symmetrical_about_half_the_peak(decay: Decay, distance: int) -> None:
    assert rate(MIDDLE - distance, decay) + rate(MIDDLE + distance, decay) == pytest.approx(PEAK)


@pytest.mark.parametrize("decay", ["cosine", "linear"])
def test_cosine_and_linear_end_at_nothing_and_stay_there(decay: Decay) -> None:
    assert rate(END, decay) == rate(END + 100, decay) == pytest.approx(0, abs=1e-12)


def test_linear_loses_the_same_every_step_and_cosine_little_at_first() -> None:
    losses = [rate(step, "linear") - rate(step + 1, "linear") for step in range(WARMUP, END)]
    assert losses == pytest.approx([PEAK / (END - WARMUP)] * len(losses))
    # A quarter of the way: (1 + cos(pi / 4)) / 2.
    assert rate(WARMUP + (END - WARMUP) // 4, "cosine") == pytest.approx(PEAK * (1 + sqrt(0.5)) / 2)


@given(step=st.integers(WARMUP, 10 * END))
def test_inverse_square_root_keeps_rate_times_root_of_step(step: int) -> None:
    assert rate(step, "inverse_sqrt") * sqrt(step) == pytest.approx(PEAK * sqrt(WARMUP))


@given(step=st.integers(WARMUP, 10 * END))
def test_none_stays_at_the_peak(step: int) -> None:
    assert rate(step, "none") == PEAK


@pytest.mark.parametrize("decay", DECAYS)
def test_without_a_warm_up_it_starts_at_the_peak(decay: Decay) -> None:
    assert rate(1, decay, warmup_steps=0) == pytest.approx(PEAK, rel=0.01)
