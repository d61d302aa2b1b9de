"""The batcher against a fake translator that can be held up in the middle of a batch."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from api.batching import Batcher
from api.errors import BusyError, DeadlineError
from api.jobs import JobQueue, Piece
from api.pace import Pace
from tests.api.fakes import FakeTranslator
from translator.config import DecodingOptions
from translator.errors import InputError

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def batcher(translator: FakeTranslator, **limits: float) -> AsyncIterator[Batcher]:
    async with Batcher(translator, **{"batch_wait_seconds": 0, **limits}) as made:  # type: ignore[arg-type]
        yield made
        translator.release()  # a failed test must not keep the worker waiting


def ask(made: Batcher, *texts: str) -> asyncio.Task[list[str]]:
    async def answer() -> list[str]:
        return [found.text for found in await made.translate(texts, sources=["en"] * len(texts), target="de")]

    return asyncio.create_task(answer())


async def until_begun(translator: FakeTranslator) -> None:
    assert await asyncio.to_thread(translator.begun.wait, 5)


async def until(condition: Sequence[object]) -> None:
    async with asyncio.timeout(5):
        while not condition:
            await asyncio.sleep(0.002)


async def test_requests_that_arrive_together_are_decoded_together(translator: FakeTranslator) -> None:
    async with batcher(translator, batch_wait_seconds=0.02) as made:
        answers = await asyncio.gather(*(ask(made, f"text {i}") for i in range(20)))
    assert translator.batches == [[f"text {i}" for i in range(20)]]
    assert answers == [[f"<de>text {i}"] for i in range(20)]


async def test_what_arrives_during_a_batch_forms_the_next(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        first = ask(made, "first")
        await until_begun(translator)
        later = [ask(made, text) for text in ("second", "third")]
        await asyncio.sleep(0)
        translator.release()
        await asyncio.gather(first, *later)
    assert translator.batches == [["first"], ["second", "third"]]


async def test_equal_requests_in_flight_are_one(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        answers = [ask(made, "same")]
        await until_begun(translator)
        answers += [ask(made, "same"), ask(made, "same", "same"), ask(made, "same")]
        await asyncio.sleep(0)
        translator.release()
        found = await asyncio.gather(*answers)
        assert found == [["<de>same"], ["<de>same"], ["<de>same"] * 2, ["<de>same"]]
        assert translator.batches == [["same"], ["same", "same"]], "two texts are another request"
        await ask(made, "same")
    assert translator.batches[2:] == [["same"]], "what was answered is not in flight"


async def test_shared_work_goes_on_while_anybody_waits(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        impatient = ask(made, "same")
        await until_begun(translator)
        patient = ask(made, "same")
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait([impatient])
        translator.release()
        assert await patient == ["<de>same"]
    assert translator.stopped == []


async def test_shared_work_stops_when_the_last_one_leaves(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        both = [ask(made, "same"), ask(made, "same")]
        await until_begun(translator)
        for each in both:
            each.cancel()
        await until(translator.stopped)
        translator.release()
        assert await ask(made, "same") == ["<de>same"], "the next one begins anew"
    assert translator.stopped == [["same"]]


async def test_shared_work_that_fails_fails_for_all(translator: FakeTranslator) -> None:
    translator.failures["boom"] = InputError("no")
    async with batcher(translator) as made:
        translator.hold()
        both = [ask(made, "boom"), ask(made, "boom")]
        await until_begun(translator)
        translator.release()
        found = await asyncio.gather(*both, return_exceptions=True)
    assert [str(error) for error in found] == ["no", "no"]


async def test_an_answer_keeps_the_order_of_its_texts_across_batches(translator: FakeTranslator) -> None:
    texts = [f"{i}" for i in range(25)]
    async with batcher(translator, max_batch_texts=4) as made:
        long, short = await asyncio.gather(ask(made, *texts), ask(made, "short"))
    assert long == [f"<de>{text}" for text in texts]
    assert short == ["<de>short"]
    assert "short" in translator.batches[0], "one text must not wait behind 25"


async def test_decoding_runs_in_one_thread_that_is_not_the_event_loops(translator: FakeTranslator) -> None:
    async with batcher(translator, max_batch_texts=1) as made:
        await asyncio.gather(*(ask(made, f"{i}") for i in range(5)))
    assert translator.threads == {"translator_0"}


async def test_the_loop_stays_free_while_a_batch_is_decoded(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        answer = ask(made, "slow")
        await until_begun(translator)
        assert not answer.done()  # we got here: the loop runs
        translator.release()
        assert await answer == ["<de>slow"]


async def test_options_reach_the_translator(translator: FakeTranslator) -> None:
    options = DecodingOptions(beam_size=2)
    async with Batcher(translator, options=options, batch_wait_seconds=0) as made:
        await ask(made, "text")
    assert translator.options == [options]


async def test_a_full_queue_refuses_and_says_when_to_come_back(translator: FakeTranslator) -> None:
    async with batcher(translator, queue_characters=10) as made:
        translator.hold()
        answers = [ask(made, "in hand")]
        await until_begun(translator)
        answers.append(ask(made, "12345678"))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="8 characters are waiting and at most 10 may") as refusal:
            await ask(made, "123")
        assert refusal.value.retry_after_seconds == 1  # 15 characters, at the 1,000 a second of the first guess
        assert made.waiting_characters == 8
        translator.release()
        assert await asyncio.gather(*answers) == [["<de>in hand"], ["<de>12345678"]]


async def test_when_to_come_back_counts_the_queue_and_the_batch_in_hand(translator: FakeTranslator) -> None:
    async with batcher(translator, queue_characters=2_000) as made:
        translator.hold()
        answers = [ask(made, "a" * 2_500)]
        await until_begun(translator)
        answers.append(ask(made, "b" * 1_400))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="1400 characters are waiting") as refusal:
            await ask(made, "c" * 601)
        assert refusal.value.retry_after_seconds == 4  # 3,900 characters at 1,000 a second
        translator.release()
        await asyncio.gather(*answers)


def test_the_pace_is_a_decayed_mean_in_which_small_batches_weigh_little() -> None:
    pace = Pace()
    assert pace.characters_per_second == 1_000
    for _ in range(100):
        pace.add(8_000, 2)
    assert pace.characters_per_second == pytest.approx(4_000, rel=0.001), "the guess is forgotten"
    pace.add(2, 0.02)  # one word, a hundred characters a second
    assert pace.characters_per_second > 3_990
    for _ in range(100):
        pace.add(0, 2)
    assert pace.characters_per_second == pytest.approx(1, abs=0.1), "never 0"


async def test_a_request_that_waits_past_its_deadline_is_refused_and_not_decoded() -> None:
    translator = FakeTranslator(deaf=True)  # goes on after the first request's own deadline
    async with batcher(translator, deadline_seconds=0.3) as made:
        translator.hold()
        first = ask(made, "first")
        await until_begun(translator)
        with pytest.raises(BusyError, match=r"still waiting for its turn after 0\.3 seconds"):
            await ask(made, "second")
        assert made.waiting_characters == 0
        await asyncio.wait([first])
    assert translator.batches == [["first"]]


async def test_a_translation_that_misses_its_deadline_is_stopped(translator: FakeTranslator) -> None:
    async with batcher(translator, deadline_seconds=0.3) as made:
        translator.hold()
        with pytest.raises(DeadlineError, match=r"took longer than the 0\.3 seconds"):
            await ask(made, "first")
        await until(translator.stopped)


async def test_a_client_that_leaves_the_queue_is_never_decoded(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        stays = ask(made, "stays")
        await until_begun(translator)
        leaves = ask(made, "leaves")
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.wait([leaves])
        assert made.waiting_characters == 0
        translator.release()
        assert await stays == ["<de>stays"]
    assert translator.batches == [["stays"]]


async def test_a_batch_that_nobody_waits_for_any_more_is_stopped(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        gone = ask(made, "gone")
        await until_begun(translator)
        gone.cancel()
        await until(translator.stopped)
        translator.release()
        assert await ask(made, "next") == ["<de>next"]
    assert translator.stopped == [["gone"]]


async def test_a_batch_goes_on_for_those_who_stay(translator: FakeTranslator) -> None:
    async with batcher(translator, batch_wait_seconds=0.02) as made:
        translator.hold()
        leaves, stays = ask(made, "leaves"), ask(made, "stays")
        await until_begun(translator)
        leaves.cancel()
        await asyncio.sleep(0.03)
        assert translator.stopped == []
        translator.release()
        assert await stays == ["<de>stays"]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(InputError("This text cannot be taken."), id="an error a person can mend"),
        pytest.param(RuntimeError("a fault of the engine"), id="an error nobody foresaw"),
    ],
)
async def test_one_requests_failure_is_not_its_neighbours(error: Exception) -> None:
    translator = FakeTranslator({"bad": error})
    async with batcher(translator, batch_wait_seconds=0.02) as made:
        one, bad, other = ask(made, "one"), ask(made, "fine", "bad"), ask(made, "other")
        with pytest.raises(type(error), match=str(error)):
            await bad
        assert await one + await other == ["<de>one", "<de>other"]
        assert await ask(made, "later") == ["<de>later"], "the batcher lives on"


class Panic(BaseException):
    """As pyo3's PanicException, which is no Exception either."""


@pytest.mark.parametrize("panic", [Panic("index out of bounds"), SystemExit(1), StopIteration()], ids=repr)
async def test_what_is_no_exception_fails_its_request_and_not_the_service(panic: BaseException) -> None:
    translator = FakeTranslator({"bad": panic})
    async with batcher(translator, batch_wait_seconds=0.02) as made:
        bad, fine = ask(made, "bad"), ask(made, "fine")
        with pytest.raises(RuntimeError, match=f"ended with {type(panic).__name__}"):
            await bad
        assert await fine == ["<de>fine"]
        assert made.running


async def test_when_nothing_is_translated_any_more_requests_are_refused_and_closing_is_quiet(
    translator: FakeTranslator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(queue: JobQueue, *, max_texts: int, max_characters: int) -> list[Piece]:
        raise MemoryError("no room for a list")

    monkeypatch.setattr(JobQueue, "take", broken)
    async with batcher(translator, deadline_seconds=0.2) as made:
        with pytest.raises(BusyError, match="still waiting"):
            await ask(made, "first")
        assert not made.running
        with pytest.raises(BusyError, match="is not translating: it is stopping, or must be restarted"):
            await ask(made, "second")
    assert "no room for a list" in caplog.text


async def test_a_translator_that_loses_a_text_is_an_error_not_a_shift(translator: FakeTranslator) -> None:
    class Forgetful(FakeTranslator):
        def translate_many(self, requests, *, options=None, cancelled=None):  # type: ignore[no-untyped-def]
            return super().translate_many(requests[:-1], options=options, cancelled=cancelled)

    async with batcher(Forgetful()) as made:
        with pytest.raises(RuntimeError, match="2 texts went in and 1 translations came out"):
            await ask(made, "one", "two")


async def test_closing_finishes_what_waits_and_takes_no_more(translator: FakeTranslator) -> None:
    async with batcher(translator, max_batch_texts=1) as made:
        translator.hold()
        answers = [ask(made, f"{i}") for i in range(3)]
        await until_begun(translator)
    assert await asyncio.gather(*answers) == [["<de>0"], ["<de>1"], ["<de>2"]]
    assert not made.running
    with pytest.raises(BusyError, match="stopping"):
        await ask(made, "late")
