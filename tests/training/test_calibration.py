"""Calibration: a known curve is found again, the error is the one of the definition, unfit text is refused."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from training.calibration import (
    Bin,
    calibrate,
    expected_calibration_error,
    fit,
    reliability_bins,
)
from training.evaluation import TestSet
from training.reliability_picture import draw
from translator.confidence import Evidence
from translator.errors import CorpusError, LanguageError
from translator.inference import Translator
from translator.translation import SentenceScore, Translation

random = np.random.default_rng(0)


class FakeManifest:
    directions = (("en", "de"),)


class FakeTranslator:
    """Answers "right" as often as its evidence says, else something else; a line of two sentences has two scores."""

    manifest = FakeManifest()

    def translate(self, texts: Sequence[str], *, source: str, target: str, progress: object) -> list[Translation]:
        chance, answers = np.random.default_rng(1), []
        for text in texts:
            evidence = Evidence(*chance.normal(size=4).tolist())
            p = 1 / (1 + np.exp(-(0.5 + 2 * evidence.mean_log_prob - evidence.log_length)))
            said = "This is right." if chance.random() < p else "Quux!"
            score = SentenceScore(0, 1, 0, 1, 0.0, evidence, None)
            answers.append(Translation(said, source, target, text, sentences=(score,) * (1 + (text == "two"))))
        return answers


def held_out(sentences: int, *, extra: Sequence[str] = ()) -> TestSet:
    sources = [*map(str, range(sentences)), *extra]
    return TestSet("held out", "en", "de", sources, [["This is right."] * len(sources)])


def test_a_known_curve_is_found_again() -> None:
    rows = random.normal([1.0, -3.0], [0.5, 4.0], size=(20_000, 2))
    wanted = (random.random(20_000) < 1 / (1 + np.exp(-(0.3 + 2 * rows[:, 0] - 0.5 * rows[:, 1])))).astype(float)
    bias, weights = fit(rows, wanted)
    assert [bias, *weights] == pytest.approx([0.3, 2.0, -0.5], abs=0.15)


def test_bins_count_their_sentences_and_leave_out_the_empty() -> None:
    bins = reliability_bins(np.array([0.05, 0.95, 1.0, 0.07]), np.array([0.0, 1.0, 0.0, 1.0]))
    assert [(each.lowest, each.highest, each.sentences, each.right) for each in bins] == [
        (0.0, 0.1, 2, 0.5), (0.9, 1.0, 2, 0.5),
    ]  # fmt: skip
    assert [each.confidence for each in bins] == pytest.approx([0.06, 0.975])


def test_the_error_is_the_mean_distance_over_sentences() -> None:
    bins = [Bin(0.0, 0.1, 30, 0.1, 0.2), Bin(0.9, 1.0, 10, 0.9, 0.5)]
    assert expected_calibration_error(bins) == pytest.approx((30 * 0.1 + 10 * 0.4) / 40)


def test_confidence_keeps_its_word_on_sentences_it_was_not_fitted_on() -> None:
    found = calibrate(cast(Translator, FakeTranslator()), held_out(4000))
    known = found.calibration
    assert (known.source, known.target, known.test_set, known.sentences) == ("en", "de", "held out", 4000)
    assert known.expected_calibration_error < 0.04
    assert sum(each.sentences for each in found.bins) == 4000
    assert known.weights.mean_log_prob == pytest.approx(2, abs=0.3)


def test_lines_of_several_sentences_are_passed_over() -> None:
    found = calibrate(cast(Translator, FakeTranslator()), held_out(300, extra=["two"] * 50))
    assert found.calibration.sentences == 300


def test_too_little_text_is_refused() -> None:
    with pytest.raises(CorpusError, match=r"held out gives 99 lines of one sentence, of which .* needs at least 100"):
        calibrate(cast(Translator, FakeTranslator()), held_out(99))
    with pytest.raises(CorpusError, match="of which 0 are right"):
        calibrate(cast(Translator, FakeTranslator()), held_out(200), right=100.1)


def test_a_direction_that_was_not_taught_is_refused() -> None:
    wanted = replace(held_out(200), source="de", target="fr")
    with pytest.raises(LanguageError, match="'de' to 'fr' was not taught; choose from: en to de"):
        calibrate(cast(Translator, FakeTranslator()), wanted)


def test_the_picture_has_a_line_a_direction_and_a_dot_a_bin() -> None:
    found = calibrate(cast(Translator, FakeTranslator()), held_out(500))
    picture = ET.fromstring(draw([found, found]))
    space = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f"{space}circle")) == 2 * len(found.bins)
    assert "en → de: 500 sentences" in "".join(picture.itertext())
