"""The learning rate over a run: a straight climb, then a decay to the end."""

from math import cos, pi, sqrt
from typing import Literal

Decay = Literal["cosine", "linear", "inverse_sqrt", "none"]


def learning_rate(step: int, *, peak: float, warmup_steps: int, max_steps: int, decay: Decay) -> float:
    """Returns the learning rate of update `step`, counted from 1.

    Args:
        step: 1 to max_steps.
        peak: Reached at the end of the warm-up.
        warmup_steps: Updates of linear climb; 0 starts at the peak.
        max_steps: Where "cosine" and "linear" reach 0.
        decay: What follows the warm-up; "inverse_sqrt" is that of Vaswani et al. 2017, section 5.3.

    Example:
        >>> learning_rate(50, peak=1.0, warmup_steps=100, max_steps=1000, decay="linear")
        0.5
        >>> learning_rate(550, peak=1.0, warmup_steps=100, max_steps=1000, decay="linear")
        0.5
    """
    if step < warmup_steps:
        return peak * step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, max_steps - warmup_steps))
    match decay:
        case "cosine":
            return peak * (1 + cos(pi * progress)) / 2
        case "linear":
            return peak * (1 - progress)
        case "inverse_sqrt":
            return peak * sqrt(max(1, warmup_steps) / max(1, step))
        case "none":
            return peak
