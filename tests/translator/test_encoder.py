"""The encoder: against the plain model, and sentences that do not see their neighbours."""

import math
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.translator import numpy_model
from tests.translator.conftest import make_model
from translator.batch import PaddedIds, pad
from translator.dropout import SequenceDropout
from translator.encoder import Encoder, reorder_time, reversal

MODEL = make_model(1).requires_grad_(False)
sources = st.lists(st.lists(st.integers(1, 23), min_size=1, max_size=8), min_size=1, max_size=6)


def encode(source: PaddedIds) -> tuple[Tensor, Tensor]:
    outputs, summary = MODEL.encoder(MODEL.embed(source.ids), source)
    return outputs, summary


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_sentence_is_read_as_by_the_plain_model(layers: int) -> None:
    model = make_model(layers, encoder_layers=layers)
    ids = [5, 9, 23, 4, 5]
    encoded = model.encoder(model.embed(torch.tensor([ids])), pad([ids], 0))
    for found, wanted in zip(encoded, numpy_model.encode(model, ids), strict=True):
        np.testing.assert_allclose(found[0].detach().numpy(), wanted, atol=1e-5)


@settings(max_examples=25)
@given(sources, st.randoms(use_true_random=False))
def test_a_sentence_alone_equals_itself_in_any_batch_and_order(rows: list[list[int]], random: Random) -> None:
    random.shuffle(rows)
    outputs, summary = encode(pad(rows, 0))
    for position, row in enumerate(rows):
        alone_outputs, alone_summary = encode(pad([row], 0))
        torch.testing.assert_close(outputs[position, : len(row)], alone_outputs[0], atol=1e-6, rtol=0)
        torch.testing.assert_close(summary[position], alone_summary[0], atol=1e-6, rtol=0)


@settings(max_examples=20)
@given(sources, st.integers(0, 23))
def test_which_id_padding_has_changes_nothing(rows: list[list[int]], pad_id: int) -> None:
    one, other = pad(rows, 0), pad(rows, pad_id)
    (outputs, summary), (other_outputs, other_summary) = encode(one), encode(other)
    assert torch.equal(summary, other_summary)
    assert torch.equal(outputs[one.mask], other_outputs[other.mask])


def test_the_reversed_direction_starts_at_the_last_real_token() -> None:
    model = make_model(3, encoder_layers=1)
    rows = [[5, 6, 7, 8, 9], [5, 11]]
    source = pad(rows, 0)
    outputs, summary = model.encoder(model.embed(source.ids), source)
    cell = numpy_model.Cell(model.encoder.backwards[0])
    for position, row in enumerate(rows):
        embedded = numpy_model.embed(model, row)
        first, _, _ = cell.read(embedded[-1:])  # only the last token has been read when its vector is written
        everything, _, _ = cell.read(embedded[::-1])
        half = cell.size
        np.testing.assert_allclose(outputs[position, len(row) - 1, half:].detach().numpy(), first[0], atol=1e-5)
        np.testing.assert_allclose(outputs[position, 0, half:].detach().numpy(), everything[-1], atol=1e-5)
        np.testing.assert_allclose(summary[position, half:].detach().numpy(), everything[-1], atol=1e-5)


@given(sources)
def test_reversal_turns_each_row_round_and_undoes_itself(rows: list[list[int]]) -> None:
    source = pad(rows, 0)
    order = reversal(source)
    once = reorder_time(source.ids[..., None], order)
    assert torch.equal(once[..., 0], pad([row[::-1] for row in rows], 0).ids)
    assert torch.equal(reorder_time(once, order)[..., 0], source.ids)


def test_reordering_time_is_a_lookup_in_each_row() -> None:
    inputs, positions = torch.randn(3, 4, 2), torch.randint(0, 4, (3, 4))
    expected = torch.stack([row[order] for row, order in zip(inputs, positions, strict=True)])
    assert torch.equal(reorder_time(inputs, positions), expected)


def test_dropout_forgets_the_same_features_at_every_step_of_a_sequence_and_others_in_the_next() -> None:
    torch.manual_seed(0)
    dropped = SequenceDropout(0.25)(torch.ones(50, 6, 40))
    assert (dropped == dropped[:, :1]).all()
    assert set(dropped.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert len(dropped[:, 0].unique(dim=0)) == 50
    # 2000 draws: the mean stays at 1 within five standard errors of sqrt(0.25 / 0.75 / 2000).
    assert abs(dropped.mean().item() - 1) < 5 * math.sqrt(0.25 / 0.75 / 2000)


@pytest.mark.parametrize("training", [True, False], ids=["probability 0 while training", "evaluation"])
def test_dropout_that_is_off_returns_what_came(training: bool) -> None:
    inputs = torch.randn(2, 3, 4)
    assert SequenceDropout(0.0 if training else 0.9).train(training)(inputs) is inputs


def test_dropout_is_drawn_anew_for_every_pass_while_training() -> None:
    encoder = Encoder(input_size=8, hidden_size=4, layers=2, dropout=0.5)
    source = pad([[1] * 5], 0)
    embedded = torch.randn(1, 5, 8)
    assert not torch.equal(encoder(embedded, source).summary, encoder(embedded, source).summary)
    encoder.eval()
    assert torch.equal(encoder(embedded, source).summary, encoder(embedded, source).summary)
