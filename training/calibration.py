"""Calibration: from the evidence of a search to a confidence that keeps its word.

Held-out sentences are translated, each translation is called right or not by its chrF against the reference, and a
logistic curve is fitted from evidence to right. How well it keeps its word is measured on sentences it was not fitted
on: five times over, a fifth is kept aside. The curve that is kept is fitted on all.

Source: Platt 1999 (the curve); Guo et al. 2017, section 2 (reliability, expected calibration error).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sacrebleu.metrics.chrf import CHRF

from training.evaluation import TestSet
from translator.confidence import Calibration, Evidence
from translator.errors import CorpusError, LanguageError
from translator.inference import Progress, Translator

RIGHT_CHRF = 60.0
"""A short sentence that says the same in other words has about so much in common with its reference."""
FOLDS = 5
BINS = 10
LEAST_SENTENCES = 100
SHRINKAGE = 1e-5

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """Sentences of like confidence.

    Args:
        lowest: Confidence from here.
        highest: Up to here.
        sentences: Count.
        confidence: Their mean.
        right: The share that was right.
    """

    lowest: float
    highest: float
    sentences: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Reliability:
    """A calibration and the table that says how far to trust it; empty bins are left out."""

    calibration: Calibration
    bins: tuple[Bin, ...]


def calibrate(
    translator: Translator, test_set: TestSet, *, right: float = RIGHT_CHRF, progress: Progress | None = None
) -> Reliability:
    """Translates held-out text and fits the confidence of one direction on it.

    Args:
        translator: The model, searching as its checkpoint recommends.
        test_set: Held-out text; lines that hold several sentences, or none, are passed over.
        right: Sentence chrF from which a translation counts as right.
        progress: Told (sentences done, sentences in all).

    Raises:
        CorpusError: There are too few sentences, or all are right, or none.
        LanguageError: The model was not taught this direction, or reaches it only through a third language.
    """
    taught = translator.manifest.directions
    if (test_set.source, test_set.target) not in taught:
        known = ", ".join(f"{source} to {target}" for source, target in taught)
        raise LanguageError(f"{test_set.source!r} to {test_set.target!r} was not taught; choose from: {known}.")
    answers = translator.translate(test_set.sources, source=test_set.source, target=test_set.target, progress=progress)
    metric, evidence, outcomes = CHRF(), list[Evidence](), list[bool]()
    for answer, *references in zip(answers, *test_set.references, strict=True):
        if len(answer.sentences) == 1 and answer.sentences[0].evidence is not None:
            evidence.append(answer.sentences[0].evidence)
            outcomes.append(metric.sentence_score(answer.text, references).score >= right)
    if len(evidence) < LEAST_SENTENCES or len(set(outcomes)) < 2:
        raise CorpusError(
            f"{test_set.name} gives {len(evidence)} lines of one sentence, of which {sum(outcomes)} are right; "
            f"calibration needs at least {LEAST_SENTENCES}, some right and some not."
        )
    rows, wanted = np.array(evidence, dtype=np.float64), np.array(outcomes, dtype=np.float64)
    confidences = _held_out_confidences(rows, wanted)
    bins = reliability_bins(confidences, wanted)
    bias, weights = fit(rows, wanted)
    calibration = Calibration(
        source=test_set.source,
        target=test_set.target,
        bias=bias,
        weights=Evidence(*weights),
        right=right,
        test_set=test_set.name,
        sentences=len(evidence),
        expected_calibration_error=expected_calibration_error(bins),
    )
    return Reliability(calibration, bins)


def fit(rows: Values, wanted: Values) -> tuple[float, list[float]]:
    """Fits a logistic curve by maximum likelihood, with a touch of shrinkage towards a flat one.

    Args:
        rows: [N, F] evidence.
        wanted: [N], 1.0 for right and 0.0 for wrong.

    Returns:
        Bias and [F] weights.
    """
    centre, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    inputs, outcomes = torch.from_numpy((rows - centre) / spread), torch.from_numpy(wanted)
    curve = torch.zeros(1 + rows.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([curve], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = curve[0] + inputs @ curve[1:]
        value = torch.nn.functional.binary_cross_entropy_with_logits(logits, outcomes)
        value = value + SHRINKAGE * curve[1:].square().sum()
        torch.autograd.backward(value)
        return value

    optimizer.step(loss)
    bias, *slopes = curve.tolist()
    weights = [slope / scale for slope, scale in zip(slopes, spread.tolist(), strict=True)]
    return bias - sum(weight * middle for weight, middle in zip(weights, centre.tolist(), strict=True)), weights


def reliability_bins(confidences: Values, wanted: Values) -> tuple[Bin, ...]:
    """Sorts sentences by confidence into bins of equal width."""
    places = np.minimum((confidences * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(
            place / BINS,
            (place + 1) / BINS,
            int(inside.sum()),
            float(confidences[inside].mean()),
            float(wanted[inside].mean()),
        )
        for place in range(BINS)
        if (inside := places == place).any()
    )


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Returns the mean over sentences of |confidence - share right| of their bin (Guo et al. 2017, equation 3)."""
    total = sum(each.sentences for each in bins)
    return sum(each.sentences * abs(each.confidence - each.right) for each in bins) / total


def _held_out_confidences(rows: Values, wanted: Values) -> Values:
    """Returns for each sentence the confidence by a curve that was fitted without it."""
    fold = np.random.default_rng(0).permutation(len(rows)) % FOLDS
    confidences = np.empty(len(rows))
    for number in range(FOLDS):
        aside = fold == number
        bias, weights = fit(rows[~aside], wanted[~aside])
        confidences[aside] = 1 / (1 + np.exp(-(bias + rows[aside] @ np.array(weights))))
    return confidences
