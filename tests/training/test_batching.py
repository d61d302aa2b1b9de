"""The plan of an epoch: every example as often as its weight says, budgets kept, the same for the same seed."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.batching import HALF_TILE, TILE, Examples, plan_epoch, plans_ahead
from training.dataset import Dataset, DirectedCorpus, Ids
from translator.errors import CorpusError

Lengths = list[tuple[int, int]]

lengths = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=40)
corpora = st.lists(lengths, min_size=1, max_size=3)
budgets = st.integers(1, 60)
seeds = st.integers(0, 2**32)


def filled(sizes: list[int]) -> list[Ids]:
    return [np.full(size, 9, dtype=np.int32) for size in sizes]


def dataset_of(*sizes: Lengths, weights: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Dataset:
    return Dataset(
        [
            DirectedCorpus(4, filled([source for source, _ in rows]), filled([target for _, target in rows]), weight)
            for rows, weight in zip(sizes, weights, strict=False)
        ]
    )


def equally_long(size: int) -> Lengths:
    return [(5, 5)] * size


def plan(dataset: Dataset, *, batch_tokens: int = 40, seed: int = 1, epoch: int = 0) -> list[Examples]:
    return plan_epoch(dataset, batch_tokens=batch_tokens, seed=seed, epoch=epoch)


def times_read(dataset: Dataset, *, epoch: int = 0) -> Counter[int]:
    return Counter(np.concatenate(plan(dataset, epoch=epoch)).tolist())


def as_lists(batches: list[Examples]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


def rank(dataset: Dataset, example: int) -> tuple[int, int]:
    return int(dataset.target_lengths[example]), int(dataset.source_lengths[example])


@given(sizes=corpora, batch_tokens=budgets, seed=seeds, epoch=st.integers(0, 5))
def test_every_example_comes_once(sizes: list[Lengths], batch_tokens: int, seed: int, epoch: int) -> None:
    dataset = dataset_of(*sizes)
    batches = plan(dataset, batch_tokens=batch_tokens, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(dataset)))
    assert all(len(batch) for batch in batches)


@given(sizes=corpora, batch_tokens=budgets, seed=seeds)
def test_no_batch_exceeds_its_budget_unless_it_is_one_example(
    sizes: list[Lengths], batch_tokens: int, seed: int
) -> None:
    dataset = dataset_of(*sizes)
    for examples in plan(dataset, batch_tokens=batch_tokens, seed=seed):
        batch = dataset.batch(examples)
        assert len(examples) == 1 or max(batch.source.ids.numel(), batch.target_output.ids.numel()) <= batch_tokens


@given(sizes=corpora, batch_tokens=budgets, seed=seeds)
def test_batches_are_as_full_as_the_order_allows(sizes: list[Lengths], batch_tokens: int, seed: int) -> None:
    dataset = dataset_of(*sizes)
    batches = plan(dataset, batch_tokens=batch_tokens, seed=seed)
    # By length; of two that begin alike, the one that goes on alike for longer was cut off first.
    batches.sort(key=lambda batch: [*(rank(dataset, example) for example in batch), (99, 99)])
    for batch, following in pairwise(batches):
        joined = np.append(batch, following[0])
        longest = max(dataset.source_lengths[joined].max(), dataset.target_lengths[joined].max())
        whole = len(batch) if len(batch) % HALF_TILE else len(batch) + TILE - 1
        assert longest * max(whole + 1, len(joined)) > batch_tokens


@given(sizes=corpora, batch_tokens=budgets, seed=seeds)
def test_examples_of_like_length_travel_together(sizes: list[Lengths], batch_tokens: int, seed: int) -> None:
    dataset = dataset_of(*sizes)
    batches = plan(dataset, batch_tokens=batch_tokens, seed=seed)
    ranks = [[rank(dataset, example) for example in batch] for batch in batches]
    for one, other in pairwise(sorted(ranks)):
        assert max(one) <= min(other)


@given(sizes=corpora, seed=seeds, epoch=st.integers(0, 5))
def test_the_same_seed_and_epoch_give_the_same_plan(sizes: list[Lengths], seed: int, epoch: int) -> None:
    one, other = (plan(dataset_of(*sizes), seed=seed, epoch=epoch) for _ in range(2))
    assert as_lists(one) == as_lists(other)


@pytest.mark.parametrize(
    "change", [pytest.param({"seed": 2}, id="another seed"), pytest.param({"epoch": 1}, id="another epoch")]
)
def test_another_seed_or_epoch_mixes_anew(change: dict[str, int]) -> None:
    dataset = dataset_of(equally_long(200))
    one, other = plan(dataset), plan(dataset, **change)
    assert {frozenset(batch) for batch in as_lists(one)} != {frozenset(batch) for batch in as_lists(other)}


def test_batches_come_in_random_order_of_length() -> None:
    dataset = dataset_of([(length, length) for length in range(1, 100)])
    longest = [int(dataset.target_lengths[batch].max()) for batch in plan(dataset)]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


def test_a_weight_of_a_half_reads_a_fresh_half_each_epoch() -> None:
    dataset = dataset_of(equally_long(100), weights=(0.5,))
    first, second = times_read(dataset), times_read(dataset, epoch=1)
    assert sorted(first.values()) == sorted(second.values()) == [1] * 50
    assert first != second


def test_a_weight_of_2_3_reads_twice_and_a_third_time_three_in_ten() -> None:
    dataset = dataset_of(equally_long(7), equally_long(100), weights=(1.0, 2.3))
    times = times_read(dataset)
    assert [times[example] for example in range(7)] == [1] * 7
    assert Counter(times[example] for example in range(7, 107)) == {2: 70, 3: 30}


def test_a_part_of_less_than_one_example_is_read_in_some_epochs() -> None:
    dataset = dataset_of(equally_long(3), equally_long(2), weights=(1.0, 0.2))
    read = [sum(len(batch) for batch in plan(dataset, epoch=epoch)) - 3 for epoch in range(200)]
    assert set(read) == {0, 1}
    assert 50 < sum(read) < 110  # 80 expected of a fair draw, give or take 4 standard deviations


def test_weights_that_leave_nothing_to_read_are_refused() -> None:
    with pytest.raises(CorpusError, match="An epoch reads no example: raise the weight of a corpus"):
        plan(dataset_of(equally_long(1), weights=(1e-9,)))


def test_a_corpus_is_read_in_its_first_epochs_only() -> None:
    dataset = Dataset(
        [
            DirectedCorpus(4, filled([5] * 3), filled([5] * 3), epochs=2),
            DirectedCorpus(5, filled([5] * 2), filled([5] * 2)),
        ]
    )
    read = [set(times_read(dataset, epoch=epoch)) for epoch in range(4)]
    assert read == [{0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}, {3, 4}, {3, 4}]


def test_plans_come_one_after_another_from_any_epoch() -> None:
    dataset = dataset_of(equally_long(50))
    ahead = plans_ahead(dataset, batch_tokens=40, seed=1, first_epoch=3)
    assert [as_lists(next(ahead)) for _ in range(3)] == [as_lists(plan(dataset, epoch=epoch)) for epoch in (3, 4, 5)]
    ahead.close()


@given(sizes=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=300), seed=seeds)
def test_large_batches_fill_whole_tiles_unless_that_leaves_much_out(sizes: Lengths, seed: int) -> None:
    batches = plan(dataset_of(sizes), batch_tokens=700, seed=seed)
    odd = [batch for batch in batches if len(batch) >= HALF_TILE and len(batch) % HALF_TILE]
    assert len(odd) <= 1  # the one that was left over
    coarse = [batch for batch in batches if len(batch) > 4 * TILE and len(batch) % TILE]
    assert len(coarse) <= 1
