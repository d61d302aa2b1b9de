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
            texts=["a"], sources=["en"], target="de", alternatives=0, listener=None, abandoned=False
        )
        (outcome,) = made.turn([job], lambda: False)
        assert not isinstance(outcome[1], Exception)
    assert given_back == [TIDY_SECONDS, 2 * TIDY_SECONDS]
