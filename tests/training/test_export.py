"""The exported checkpoint translates as the one it was made from, is smaller, and remembers scores."""

from pathlib import Path

import pytest
import torch

from tests.training.small_run import make_trainer
from training.export import export
from translator.checkpoint import Score, load_checkpoint, read_manifest
from translator.confidence import Calibration, Evidence
from translator.config import DecodingOptions
from translator.errors import ConfigError, InputError
from translator.weights import StoredType


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    make_trainer(folder, validation={"every_steps": 6}).run()
    return folder / "small" / "last"


def test_as_float32_the_weights_are_the_same_bit_for_bit(trained: Path, tmp_path: Path) -> None:
    export(trained, tmp_path / "out", stored_type="float32")
    before, after = load_checkpoint(trained).model.state_dict(), load_checkpoint(tmp_path / "out").model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("stored_type", "share"), [("bfloat16", 0.5), ("int8", 0.25)])
def test_smaller_types_shrink_the_matrices(
    trained: Path, tmp_path: Path, stored_type: StoredType, share: float
) -> None:
    export(trained, tmp_path / "out", stored_type=stored_type)
    parameters = list(load_checkpoint(trained).model.parameters())
    whole = sum(parameter.numel() * 4 for parameter in parameters if parameter.dim() > 1)
    saved = (trained / "model.safetensors").stat().st_size - (tmp_path / "out" / "model.safetensors").stat().st_size
    overhead = 4096  # names, and a scale for each row
    assert saved == pytest.approx((1 - share) * whole, abs=overhead)


def curve(source: str, target: str, bias: float) -> Calibration:
    return Calibration(
        source=source, target=target, bias=bias, weights=Evidence(1.0, 0.0, 0.0, 0.5), right=60.0, test_set="dev",
        sentences=200, expected_calibration_error=0.02,
    )  # fmt: skip


def test_a_calibration_replaces_that_of_its_direction_and_is_dropped_with_its_search(
    trained: Path, tmp_path: Path
) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    export(trained, first, calibrations=[curve("en", "de", 1.0)])
    assert read_manifest(first).calibration("en", "de") == curve("en", "de", 1.0)
    assert read_manifest(first).calibration("de", "en") is None
    export(first, second, calibrations=[curve("en", "de", 2.0)])
    assert read_manifest(second).calibrations == (curve("en", "de", 2.0),)
    export(second, third, decoding=DecodingOptions(beam_size=3))
    assert read_manifest(third).calibrations == ()


def test_a_calibration_that_does_not_fit_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is of de to fr, which small model was not taught; it was taught: en to de"):
        export(trained, tmp_path / "out", calibrations=[curve("de", "fr", 1.0)])
    with pytest.raises(InputError, match="Two calibrations are of en to de"):
        export(trained, tmp_path / "out", calibrations=[curve("en", "de", 1.0), curve("en", "de", 2.0)])
    with pytest.raises(ConfigError, match="A calibration holds nan, wanted a number"):
        curve("en", "de", float("nan"))


def test_name_options_and_scores_are_told(trained: Path, tmp_path: Path) -> None:
    bleu = Score(test_set="dev", source="en", target="de", metric="BLEU", value=12.5, signature="sig")
    options = DecodingOptions(beam_size=3, length_penalty=0.6)
    export(trained, tmp_path / "out", name="mine", decoding=options, scores=[bleu])
    export(tmp_path / "out", tmp_path / "again", scores=[bleu])
    manifest = read_manifest(tmp_path / "again")
    assert (manifest.name, manifest.decoding, manifest.scores) == ("mine", options, (bleu,))
    assert "12.50" in (tmp_path / "again" / "README.md").read_text(encoding="utf-8")
