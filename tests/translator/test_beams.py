"""One step of the search: candidates against a full sort, and what happens to the state."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from translator.beam_rows import DEAD, Floats, Place, picked
from translator.beams import BLOCK, Beams, new_beams
from translator.scoring import coverage_penalty

EOS = 3


def attention(*shape: int) -> Floats:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def beams_of(*source_lengths: int, beam_size: int = 3) -> Beams:
    places = [Place(slot, length, max_length=9) for slot, length in enumerate(source_lengths)]
    return new_beams(places, beam_size=beam_size, most=2, bos_id=2)


def started(generator: torch.Generator, sentences: int, beam_size: int) -> Beams:
    """Beams in which one hypothesis lives, or some do, or all."""
    beams = beams_of(*[4] * sentences, beam_size=beam_size)
    log_probs = -torch.rand(sentences, beam_size, generator=generator).cumsum(dim=1)
    counts = torch.randint(1, beam_size + 1, (sentences, 1), generator=generator)
    log_probs[torch.arange(beam_size) >= counts] = DEAD
    beams.log_probs = log_probs.numpy()
    return beams


def likeliest(beams: Beams, log_probs: Tensor, forbidden: list[int]) -> Floats:
    """The K highest of all sums of a live row's and its tokens', by sorting them all."""
    sums = torch.from_numpy(beams.log_probs)
    log_probs = log_probs.nan_to_num(DEAD, neginf=DEAD).clone()
    log_probs[:, forbidden] = DEAD
    everything = torch.full((*sums.shape, log_probs.shape[1]), DEAD)  # [B, K, V]
    everything[sums > DEAD] = log_probs
    everything += sums.unsqueeze(2)
    return everything.flatten(1).sort(dim=1, descending=True).values[:, : sums.shape[1]].numpy()


@pytest.mark.parametrize(
    "columns", [5, 9, 1000, 40 * BLOCK, 40 * BLOCK + 7], ids=["tiny", "small", "odd", "blocks", "a rest"]
)
@given(seed=st.integers(0, 10**6), beam_size=st.integers(1, 5), forbidden=st.sets(st.integers(0, 4), max_size=3))
@settings(max_examples=20)
def test_the_first_candidates_are_those_of_a_full_sort(
    columns: int, seed: int, beam_size: int, forbidden: set[int]
) -> None:
    forbidden = {each * 50 % columns for each in forbidden}  # in several blocks
    generator = torch.Generator().manual_seed(seed)
    beams = started(generator, 4, beam_size)
    rows = beams.rows()
    log_probs = torch.randn(len(rows.places), columns, generator=generator).log_softmax(dim=1)
    log_probs[:, sorted(forbidden)] = 0.0  # tempting
    log_probs[0] = torch.nan
    candidates = beams.candidates(rows, log_probs, torch.tensor(sorted(forbidden), dtype=torch.int64))
    expected = likeliest(beams, log_probs, sorted(forbidden))
    assert np.array_equal(candidates.log_probs[:, :beam_size], expected)
    alive = candidates.log_probs > DEAD
    assert not set(candidates.token_ids[alive].tolist()) & forbidden
    assert (candidates.parents < rows.counts[:, None])[alive].all()
    continued = (rows.first()[:, None] + candidates.parents)[alive]
    said = log_probs.numpy()[continued, candidates.token_ids[alive]]
    assert np.array_equal(said, candidates.token_log_probs[alive])
    sums = picked(beams.log_probs, candidates.parents) + candidates.token_log_probs
    assert np.array_equal(sums, candidates.log_probs)


@given(seed=st.integers(0, 10**6), beam_size=st.integers(1, 5), chosen=st.integers(12, 40))
@settings(max_examples=20)
def test_columns_that_were_chosen_give_the_candidates_of_a_vocabulary_without_the_others(
    seed: int, beam_size: int, chosen: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    beams = started(generator, 4, beam_size)
    rows = beams.rows()
    count = len(rows.places)
    log_probs = torch.randn(count, chosen, generator=generator).log_softmax(dim=1)
    columns = torch.stack([torch.randperm(60, generator=generator)[:chosen] for _ in range(count)])
    whole = torch.full((count, 60), DEAD).scatter_(1, columns, log_probs)
    nothing = torch.tensor([], dtype=torch.int64)
    found, expected = beams.candidates(rows, log_probs, nothing, columns), beams.candidates(rows, whole, nothing)
    alive = expected.log_probs[:, :beam_size] > DEAD
    for name in found._fields:
        one, other = (getattr(candidates.first(beam_size), name) for candidates in (found, expected))
        assert np.array_equal(one[alive], other[alive])


@given(seed=st.integers(0, 10**6), beam_size=st.integers(1, 6), columns=st.sampled_from([12, 33 * BLOCK + 5]))
@settings(max_examples=40)
def test_as_many_candidates_go_on_as_there_are_rows(seed: int, beam_size: int, columns: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    beams = started(generator, 3, beam_size)
    rows = beams.rows()
    log_probs = torch.randn(len(rows.places), columns, generator=generator)
    log_probs[:, EOS] += 9  # every row would rather end
    log_probs = log_probs.log_softmax(dim=1)
    without_eos = log_probs.index_fill(1, torch.tensor([EOS]), DEAD)
    expected = likeliest(beams, without_eos, [])
    candidates = beams.candidates(rows, log_probs, torch.tensor([], dtype=torch.int64))
    chosen = beams.go_on(candidates, EOS, threshold=0.0)
    assert np.array_equal(chosen.log_probs, expected)
    assert np.array_equal(beams.log_probs, expected)
    assert not (beams.token_ids == EOS).any()
    assert beams.ages.tolist() == [1, 1, 1]


def test_a_sentence_begins_in_one_row() -> None:
    assert beams_of(4).log_probs.tolist() == [[0.0, DEAD, DEAD]]


def test_joined_then_selected_beams_are_what_they_were() -> None:
    left, right = beams_of(4, 6), beams_of(9)
    left.cover(attention(2, 3, 6))
    joined = left.join(right)
    assert joined.source_lengths.tolist() == [4, 6, 9]
    back = joined.select(np.array([0, 1]))
    for name, array in vars(left).items():
        assert np.array_equal(getattr(back, name), array)


def test_coverage_follows_the_longest_source_that_is_live() -> None:
    beams = beams_of(4, 2)
    first, second, third = attention(2, 3, 4), attention(1, 3, 2), attention(1, 3, 7)
    first[1, :, 2:] = 0.0  # padding
    beams.cover(first)
    shorter = beams.select(np.array([1]))
    shorter.cover(second)
    shorter.cover(third)
    expected = third.copy()
    expected[:, :, :2] += first[1:, :, :2] + second
    np.testing.assert_allclose(shorter.coverage, expected, rtol=1e-6)


def test_coverage_penalties_leave_padding_out() -> None:
    beams = beams_of(4, 2)
    attention_weights = attention(2, 3, 4)
    attention_weights[1, :, 2:] = 0.0
    beams.cover(attention_weights)
    expected = [
        [coverage_penalty(attention_weights[sentence, row, None, :length], 0.3) for row in range(3)]
        for sentence, length in enumerate([4, 2])
    ]
    np.testing.assert_allclose(beams.coverage_penalties(0.3), expected, rtol=1e-5)
