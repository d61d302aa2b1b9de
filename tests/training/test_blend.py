"""Weights between two checkpoints, and what is known of where they came from."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.small_run import make_trainer
from training.blend import blend
from training.export import export
from training.model_card import model_card
from translator.checkpoint import Checkpoint, load_checkpoint, read_manifest, save_checkpoint
from translator.errors import InputError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    make_trainer(folder, validation={"every_steps": 6}).run()
    return folder / "small" / "last"


def doubled(path: Path) -> Checkpoint:
    """The same checkpoint with weights twice as large, as if it were another."""
    checkpoint = load_checkpoint(path)
    with torch.no_grad():
        for weight in checkpoint.model.state_dict().values():
            weight.mul_(2)
    return replace(checkpoint, manifest=replace(checkpoint.manifest, name="twice", weights_sha256="ab" * 32))


@pytest.mark.parametrize(("share", "times"), [(0.0, 1.0), (0.25, 1.25), (1.0, 2.0)])
def test_weights_lie_between(run: Path, share: float, times: float) -> None:
    plain, found = load_checkpoint(run), blend(load_checkpoint(run), doubled(run), share=share)
    for name, weight in plain.model.state_dict().items():
        torch.testing.assert_close(found.model.state_dict()[name], weight * times)


def test_the_manifest_and_the_card_say_with_what(run: Path) -> None:
    manifest = blend(load_checkpoint(run), doubled(run), share=0.25).manifest
    assert manifest.training["blended_with"] == [{"name": "twice", "weights_sha256": "ab" * 32, "share": 0.25}]
    assert "Its weights are blended with those of twice (abababababab), whose share is 0.25." in model_card(manifest)
    assert not manifest.scores
    assert not manifest.calibrations


def test_an_export_may_blend(run: Path, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "twice", doubled(run), card="")
    export(run, tmp_path / "out", stored_type="float32", blend_with=tmp_path / "twice", blend_share=0.5)
    before, after = load_checkpoint(run).model.state_dict(), load_checkpoint(tmp_path / "out").model.state_dict()
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight * 1.5)
    assert read_manifest(tmp_path / "out").training["blended_with"][0]["share"] == 0.5


def test_what_is_blended_stays_as_it_is_and_a_second_blend_is_remembered_too(run: Path) -> None:
    checkpoint, other = load_checkpoint(run), doubled(run)
    first = blend(checkpoint, other, share=1)
    assert all(
        torch.equal(weight, checkpoint.model.state_dict()[name])
        for name, weight in load_checkpoint(run).model.state_dict().items()
    )
    assert len(blend(first, other, share=0.5).manifest.training["blended_with"]) == 2


def test_one_that_learned_with_another_dropout_is_no_stranger(run: Path) -> None:
    other = doubled(run)
    model = replace(other.manifest.model, dropout=0.75)
    found = blend(load_checkpoint(run), replace(other, manifest=replace(other.manifest, model=model)), share=0.5)
    assert found.manifest.model == load_checkpoint(run).manifest.model


def test_what_cannot_be_blended_is_refused(run: Path) -> None:
    one, other = load_checkpoint(run), load_checkpoint(run)
    with pytest.raises(InputError, match=r"The share of the other's weights is 1\.5, wanted 0 to 1\."):
        blend(one, other, share=1.5)
    stranger = replace(other, manifest=replace(other.manifest, name="stranger", tokenizer_sha256="other"))
    with pytest.raises(InputError, match="and stranger differ in sizes or tokenizer"):
        blend(one, stranger, share=0.5)
    paid = replace(other, manifest=replace(other.manifest, licence="proprietary"))
    with pytest.raises(InputError, match="differ in licence or directions"):
        blend(one, paid, share=0.5)
