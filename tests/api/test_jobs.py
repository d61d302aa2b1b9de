"""The queue against its promises: every text once, in order, in turn, within the bounds."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.jobs import Job, JobQueue, Piece

WIDE = {"max_texts": 100, "max_characters": 10_000}


def job(*texts: str) -> Job:
    return Job(texts, ["en"] * len(texts), "de", asyncio.Future(loop=asyncio.new_event_loop()))


def taken(batch: list[Piece]) -> list[str]:
    return [piece.text for piece in batch]


@pytest.fixture(autouse=True)
def loops_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One loop for all futures of a test: nothing runs on it."""
    loop = asyncio.SelectorEventLoop()
    loop.close()
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: loop)


def test_jobs_give_their_texts_away_in_turn() -> None:
    queue = JobQueue(1000)
    for texts in (("a1", "a2", "a3"), ("b1",), ("c1", "c2")):
        queue.put(job(*texts))
    assert taken(queue.take(**WIDE)) == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_a_batch_ends_before_the_text_that_would_exceed_its_characters() -> None:
    queue = JobQueue(1000)
    queue.put(job("12345", "12345", "1"))
    batches = [taken(queue.take(max_texts=9, max_characters=9)) for _ in range(2)]
    assert batches == [["12345"], ["12345", "1"]]


def test_a_text_longer_than_a_batch_is_a_batch_of_its_own() -> None:
    queue = JobQueue(1000)
    queue.put(job("1" * 50, "2"))
    assert [taken(queue.take(max_texts=9, max_characters=9)) for _ in range(2)] == [["1" * 50], ["2"]]


def test_the_bound_counts_characters_that_wait() -> None:
    queue = JobQueue(10)
    queue.put(job("123456"))
    assert queue.has_room_for(job("1234"))
    assert not queue.has_room_for(job("12345"))
    queue.take(**WIDE)
    assert queue.has_room_for(job("12345"))


def test_a_job_larger_than_the_queue_may_wait_alone() -> None:
    queue = JobQueue(3)
    assert queue.has_room_for(job("123456"))
    queue.put(job("1"))
    assert not queue.has_room_for(job("123456"))


def test_withdrawing_takes_out_what_still_waits() -> None:
    queue, first, second = JobQueue(100), job("123", "4567"), job("89")
    queue.put(first)
    queue.put(second)
    queue.take(max_texts=1, max_characters=100)
    queue.withdraw(first)
    queue.withdraw(first)  # a second time is nothing
    assert (queue.characters, taken(queue.take(**WIDE))) == (2, ["89"])


@settings(max_examples=50)
@given(
    texts=st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=6), max_size=6),
    max_texts=st.integers(1, 5),
    max_characters=st.integers(1, 12),
)
def test_every_text_is_handed_out_once_in_order_and_within_bounds(
    texts: list[list[str]], max_texts: int, max_characters: int
) -> None:
    queue, jobs, given_away = JobQueue(1), [job(*several) for several in texts], Counter[Job]()
    for one in jobs:
        queue.put(one)
    while batch := queue.take(max_texts=max_texts, max_characters=max_characters):
        assert len(batch) <= max_texts
        assert len(batch) == 1 or sum(map(len, taken(batch))) <= max_characters
        for piece in batch:
            assert piece.position == given_away[piece.job]
            given_away[piece.job] += 1
        assert queue.characters == sum(one.waiting_characters for one in jobs)
    assert given_away == Counter({one: len(one.texts) for one in jobs})
    assert len(queue) == queue.characters == 0
