"""Signals as a wish to stop. (What a run does with it is in test_trainer.)"""

import signal
import threading

import pytest

from training.interruption import stop_request


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_is_noted_and_the_block_goes_on(number: signal.Signals) -> None:
    with stop_request() as stop:
        assert not stop.made
        signal.raise_signal(number)
        assert stop.made


def test_handlers_are_put_back_whatever_happens() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(RuntimeError, match="oh"), stop_request():
        raise RuntimeError("oh")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before, made = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with stop_request() as stop:
            made.append((stop.made, signal.getsignal(signal.SIGTERM) is before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert made == [(False, True)]
