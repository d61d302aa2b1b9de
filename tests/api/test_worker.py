"""The worker by itself: what it does besides translating."""

from types import SimpleNamespace
from typing import Any

import pytest

from api import worker
from api.worker import TIDY_SECONDS, Worker
from tests.api.fakes import FakeTranslator


def test_freed_memory_is_given_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now, given_back = [0.0], list[float]()
    monkeypatch.setattr(worker, "return_freed_memory", lambda: given_back.append(now[0]))
    made: Worker[Any] = Worker(
        FakeTranslator(), beam_size=None, batch_size=4, step=lambda count: None, clock=lambda: now[0]
    )
    for second in range(int(3 * TIDY_SECONDS)):
        now[0] = float(second)
        job: Any = SimpleNamespace(
            texts=["a"], sources=["en"], target="de", alternatives=0, detailed=True, listener=None, abandoned=False
        )
        (outcome,) = made.turn([job], lambda: False)
        assert not isinstance(outcome[1], Exception)
    assert given_back == [TIDY_SECONDS, 2 * TIDY_SECONDS]


class Quarrelsome:
    """A session that fails with two texts in it, never ends "endless", and ends anything else at once."""

    live = 1

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}

    def admit(self, requests: Any, **how: object) -> int:
        self.texts[len(self.texts)] = requests[0].text
        return len(self.texts) - 1

    def advance(self) -> list[int]:
        if len(self.texts) > 1:
            raise RuntimeError("two are a crowd")
        return [ticket for ticket, text in self.texts.items() if text != "endless"]

    def collect(self, ticket: int) -> list[str]:
        return [self.texts.pop(ticket)]

    def cancel(self, ticket: int) -> None:
        del self.texts[ticket]

    def rest(self) -> None:
        pass


def test_a_job_that_is_tried_alone_may_be_given_up() -> None:
    translator: Any = SimpleNamespace(session=lambda **how: Quarrelsome())
    made: Worker[Any] = Worker(translator, beam_size=None, batch_size=4, step=lambda count: None)
    jobs: list[Any] = [
        SimpleNamespace(
            texts=[text], sources=["en"], target="de", alternatives=0, detailed=True, listener=None, abandoned=False
        )
        for text in ("endless", "other")
    ]
    endless, other = jobs
    asked = 0

    def interrupted() -> bool:
        """Hears at the third time of asking that nobody waits for the first job any more."""
        nonlocal asked
        asked += 1
        endless.abandoned = asked >= 3
        return asked >= 3

    outcomes: list[Any] = made.turn(jobs, interrupted)
    assert outcomes == [(other, ["other"])]
    assert made.turn([], lambda: False) == []
    assert not made.busy
