"""Validation against slow, obvious ways to the same figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.training.small_run import SOURCES, TARGETS, VOCAB_SIZE, write_lines
from training.config import DirectionFiles, ValidationConfig
from training.dataset import source_ids
from training.validation import HeldOut, Validation, read_sets, tokenise_sets, validate
from translator.batch import pair
from translator.config import DecodingOptions
from translator.errors import CorpusError, LanguageError
from translator.model import TranslationModel
from translator.scoring import Hypothesis
from translator.tokenizer import Tokenizer

GREEDY = DecodingOptions(beam_size=1)


def config_of(
    folder: Path, sources: list[str], targets: list[str], *, target: str = "de", sentences: int = 0
) -> ValidationConfig:
    files = write_lines(folder / "dev.en", sources), write_lines(folder / "dev.de", targets)
    held_out = DirectionFiles(source="en", target=target, source_file=files[0], target_file=files[1])
    return ValidationConfig(every_steps=1, sentences=sentences, sets=(held_out,))


@pytest.fixture
def held_out(tmp_path: Path, tokenizer: Tokenizer) -> HeldOut:
    return tokenise_sets(read_sets(config_of(tmp_path, SOURCES, TARGETS)), tokenizer)[0]


@pytest.fixture
def model() -> TranslationModel:
    torch.manual_seed(1)
    return TranslationModel(
        vocab_size=VOCAB_SIZE, embedding_size=8, encoder_layers=1, encoder_size=6, decoder_layers=2, decoder_size=10,
        attention_heads=1, dropout=0.5,
    ).eval()  # fmt: skip


def loss_alone(model: TranslationModel, held_out: HeldOut) -> tuple[float, int]:
    """Sums over sentences, each by itself, without padding."""
    total, tokens = 0.0, 0
    for source, target in zip(held_out.sources, held_out.targets, strict=True):
        batch = pair(
            [source_ids(source, held_out.language_id)],
            [np.array([*target, Tokenizer.eos_id])],
            pad_id=Tokenizer.pad_id,
            bos_id=Tokenizer.bos_id,
        )
        with torch.no_grad():
            logits = model.logits(model(batch.source, batch.target_input).readout)  # [1, T, V]
        total += float(functional.cross_entropy(logits[0], batch.target_output.ids[0], reduction="sum"))
        tokens += len(target) + 1
    return total, tokens


def test_the_loss_is_that_of_sentences_one_by_one(
    model: TranslationModel, tokenizer: Tokenizer, held_out: HeldOut
) -> None:
    total, tokens = loss_alone(model, held_out)
    assert validate(model, tokenizer, [held_out], GREEDY).loss == pytest.approx(total / tokens, rel=1e-5)


def test_several_directions_share_one_loss_by_tokens(
    model: TranslationModel, tokenizer: Tokenizer, held_out: HeldOut
) -> None:
    short = HeldOut("de-en", tokenizer.language_id("en"), held_out.targets[:3], held_out.sources[:3], SOURCES[:3])
    sums = [loss_alone(model, each) for each in (held_out, short)]
    found = validate(model, tokenizer, [held_out, short], GREEDY)
    assert found.loss == pytest.approx(sum(total for total, _ in sums) / sum(tokens for _, tokens in sums), rel=1e-5)
    assert found.bleu.keys() == {"en-de", "de-en"}


def test_it_draws_no_random_number_and_changes_no_weight(
    model: TranslationModel, tokenizer: Tokenizer, held_out: HeldOut
) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generator = torch.get_rng_state()
    first, second = (validate(model, tokenizer, [held_out], GREEDY) for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("answers", "bleu"),
    [
        pytest.param(lambda ids: [hypothesis_of(ids)], 100.0, id="the references"),
        pytest.param(lambda ids: [], 0.0, id="nothing"),
        pytest.param(lambda ids: [hypothesis_of(ids), hypothesis_of([])], 100.0, id="the first of two counts"),
    ],
)
def test_bleu_compares_what_was_decoded_with_the_references(
    model: TranslationModel,
    tokenizer: Tokenizer,
    held_out: HeldOut,
    monkeypatch: pytest.MonkeyPatch,
    answers: Any,
    bleu: float,
) -> None:
    def decode(_: object, __: object, sources: list[list[int]], **___: object) -> list[list[Hypothesis]]:
        assert sources == [[held_out.language_id, *ids, Tokenizer.eos_id] for ids in held_out.sources]
        return [answers(ids) for ids in held_out.targets]

    monkeypatch.setattr("training.validation.decode_all", decode)
    assert validate(model, tokenizer, [held_out], GREEDY).bleu == {"en-de": pytest.approx(bleu)}


def hypothesis_of(ids: list[int]) -> Hypothesis:
    return Hypothesis(
        (*ids, Tokenizer.eos_id), (), 0.0, 0.0, np.empty(0, np.float32), np.empty(0, np.float32), finished=True
    )


def test_checkpoints_are_chosen_by_the_mean_over_directions() -> None:
    assert Validation(1.0, {"en-de": 30.0, "de-en": 41.0}).mean_bleu == 35.5


def test_the_model_reads_clean_text_and_bleu_the_file(tmp_path: Path, tokenizer: Tokenizer) -> None:
    config = config_of(tmp_path, ["the\u00a0cat  runs"], ["runs  cat the"])
    [held_out] = tokenise_sets(read_sets(config), tokenizer)
    assert (held_out.name, held_out.language_id) == ("en-de", tokenizer.language_id("de"))
    assert tokenizer.decode(held_out.sources[0]).text == "the cat runs"
    assert tokenizer.decode(held_out.targets[0]).text == "runs cat the"
    assert held_out.references == ["runs  cat the"]


def test_the_first_sentences_are_taken_and_those_without_text_left_out(tmp_path: Path, tokenizer: Tokenizer) -> None:
    config = config_of(tmp_path, ["a", "", "c", "d", "e"], ["a", "b", " ", "d", "e"], sentences=4)
    assert tokenise_sets(read_sets(config), tokenizer)[0].references == ["a", "d"]


def test_a_set_without_text_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(CorpusError, match=r"dev\.en holds no pair to validate on; give one with text on both sides"):
        tokenise_sets(read_sets(config_of(tmp_path, ["", "a"], ["a", ""])), tokenizer)


def test_a_set_in_a_language_that_is_not_learnt_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(LanguageError, match="'fr' is not a language of this tokenizer; choose from: de, en"):
        tokenise_sets(read_sets(config_of(tmp_path, ["a"], ["b"], target="fr")), tokenizer)
