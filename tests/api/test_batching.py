"""The batcher against a fake translator that can be held up in the middle of its work."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from api.batching import Batcher
from api.errors import BusyError, DeadlineError
from api.jobs import Partial
from api.pace import Pace
from tests.api.fakes import PATIENCE_SECONDS, FakeSession, FakeTranslator
from translator.config import DecodingOptions
from translator.errors import InputError
from translator.inference import Translation

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def batcher(translator: FakeTranslator, **limits: float) -> AsyncIterator[Batcher]:
    async with Batcher(translator, **limits) as made:  # type: ignore[arg-type]
        yield made
        translator.release()  # a failed test must not keep the worker waiting


def ask(made: Batcher, *texts: str) -> asyncio.Task[list[str]]:
    async def answer() -> list[str]:
        return [found.text for found in await made.translate(texts, sources=["en"] * len(texts), target="de")]

    return asyncio.create_task(answer())


async def until_begun(translator: FakeTranslator) -> None:
    assert await asyncio.to_thread(translator.begun.wait, PATIENCE_SECONDS)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.002)


async def until_taken(translator: FakeTranslator, count: int) -> None:
    await until(lambda: len(translator.batches) >= count)


async def test_requests_in_flight_end_together(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        asked = [ask(made, f"text {i}") for i in range(20)]
        await until_taken(translator, 20)
        translator.release()
        answers = await asyncio.gather(*asked)
    assert translator.together == [[f"text {i}" for i in range(20)]]
    assert answers == [[f"<de>text {i}"] for i in range(20)]


async def test_who_comes_while_others_are_translated_joins_them(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        first = ask(made, "first")
        await until_begun(translator)
        later = [ask(made, text) for text in ("second", "third")]
        await until_taken(translator, 3)
        assert not first.done()
        translator.release()
        await asyncio.gather(first, *later)
    assert translator.together == [["first", "second", "third"]]


async def test_equal_requests_in_flight_are_one(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        answers = [ask(made, "same")]
        await until_begun(translator)
        answers += [ask(made, "same"), ask(made, "same", "same"), ask(made, "same")]
        await until_taken(translator, 2)
        translator.release()
        found = await asyncio.gather(*answers)
        assert found == [["<de>same"], ["<de>same"], ["<de>same"] * 2, ["<de>same"]]
        assert translator.batches == [["same"], ["same", "same"]], "two texts are another request"
        await ask(made, "same")
        assert translator.batches[2:] == [["same"]], "what was answered is not in flight"
        brief = made.translate(["same"], sources=["en"], target="de", detailed=False)
        await asyncio.gather(ask(made, "same"), brief)
    assert sorted(translator.detailed[3:]) == [False, True], "an answer with less is another one"


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
        await until(lambda: bool(translator.stopped))
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


async def test_decoding_runs_in_one_thread_that_is_not_the_event_loops(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        for i in range(5):
            await ask(made, f"{i}")
    assert translator.threads == {"translator_0"}


async def test_the_loop_stays_free_while_a_batch_is_decoded(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        answer = ask(made, "slow")
        await until_begun(translator)
        assert not answer.done()  # we got here: the loop runs
        translator.release()
        assert await answer == ["<de>slow"]


@pytest.mark.parametrize(("wanted", "beam_size"), [(2, 2), (None, DecodingOptions().beam_size)])
async def test_a_wanted_beam_changes_nothing_else_that_the_model_recommends(
    translator: FakeTranslator, wanted: int | None, beam_size: int
) -> None:
    async with Batcher(translator, beam_size=wanted) as made:
        await ask(made, "text")
    wide = DecodingOptions(beam_size=beam_size, n_best=beam_size)
    assert translator.options == [wide], "as many answers as anybody may ask for"
    assert translator.n_best == [1]


async def test_models_can_be_let_go_while_there_is_nothing_to_do(
    translator: FakeTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.runner.REST_SECONDS", 0.01)
    async with Batcher(translator) as made:
        await ask(made, "text")
        before = translator.rests
        await until(lambda: translator.rests > before + 1)
        assert await ask(made, "text") == ["<de>text"]


async def test_too_much_in_flight_is_refused_with_a_time_to_come_back(translator: FakeTranslator) -> None:
    async with batcher(translator, max_characters=10) as made:
        translator.hold()
        answers = [ask(made, "12345678")]
        await until_begun(translator)
        with pytest.raises(BusyError, match="8 characters are being translated and at most 10 may") as refusal:
            await ask(made, "123")
        assert refusal.value.retry_after_seconds == 1  # 8 characters, at the 1,000 a second of the first guess
        answers.append(ask(made, "12"))
        await until_taken(translator, 2)
        assert made.characters_in_flight == 10
        translator.release()
        assert await asyncio.gather(*answers) == [["<de>12345678"], ["<de>12"]]
        assert made.characters_in_flight == 0


async def test_when_to_come_back_counts_what_is_in_flight(translator: FakeTranslator) -> None:
    async with batcher(translator, max_characters=2_000) as made:
        translator.hold()
        answers = [ask(made, "a" * 2_500)]  # a text over the limit is taken when it is alone
        await until_begun(translator)
        with pytest.raises(BusyError, match="2500 characters are being translated") as refusal:
            await ask(made, "c")
        assert refusal.value.retry_after_seconds == 3  # 2,500 characters at 1,000 a second
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


async def test_a_translation_that_misses_its_deadline_is_stopped(translator: FakeTranslator) -> None:
    async with batcher(translator, deadline_seconds=0.3) as made:
        translator.hold()
        with pytest.raises(DeadlineError, match=r"took longer than the 0\.3 seconds"):
            await ask(made, "first")
        await until(lambda: bool(translator.stopped))


async def test_work_that_nobody_waits_for_any_more_is_stopped(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        gone, stays = ask(made, "gone"), ask(made, "stays")
        await until_taken(translator, 2)
        gone.cancel()
        await until(lambda: bool(translator.stopped))
        translator.release()
        assert await stays == ["<de>stays"]
        assert await ask(made, "next") == ["<de>next"]
    assert translator.stopped == [["gone"]]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(InputError("This text cannot be taken."), id="an error a person can mend"),
        pytest.param(RuntimeError("a fault of the engine"), id="an error nobody foresaw"),
    ],
)
@pytest.mark.parametrize("where", ["in the search", "when it is put together"])
async def test_one_requests_failure_is_not_its_neighbours(error: Exception, where: str) -> None:
    translator = FakeTranslator({"bad": error}, late=where == "when it is put together")
    async with batcher(translator) as made:
        translator.hold()
        one, bad, other = ask(made, "one"), ask(made, "fine", "bad"), ask(made, "other")
        await until_taken(translator, 3)
        translator.release()
        with pytest.raises(type(error), match=str(error)):
            await bad
        assert await one + await other == ["<de>one", "<de>other"]
        assert await ask(made, "later") == ["<de>later"], "the batcher lives on"


class Panic(BaseException):
    """As pyo3's PanicException, which is no Exception either."""


@pytest.mark.parametrize("panic", [Panic("index out of bounds"), SystemExit(1), StopIteration()], ids=repr)
async def test_what_is_no_exception_fails_its_request_and_not_the_service(panic: BaseException) -> None:
    translator = FakeTranslator({"bad": panic})
    async with batcher(translator) as made:
        translator.hold()
        bad, fine = ask(made, "bad"), ask(made, "fine")
        await until_taken(translator, 2)
        translator.release()
        with pytest.raises(RuntimeError, match=f"ended with {type(panic).__name__}"):
            await bad
        assert await fine == ["<de>fine"]
        assert made.running


async def test_when_nothing_is_translated_any_more_requests_are_refused_and_closing_is_quiet(
    translator: FakeTranslator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object) -> None:
        raise MemoryError("no room for a list")

    monkeypatch.setattr(Batcher, "_hand_out", broken)
    async with batcher(translator, deadline_seconds=0.2) as made:
        with pytest.raises(DeadlineError, match="took longer"):
            await ask(made, "first")
        assert not made.running
        with pytest.raises(BusyError, match="is not translating: it is stopping, or must be restarted"):
            await ask(made, "second")
    assert "no room for a list" in caplog.text


async def test_a_translator_that_loses_a_text_is_an_error_not_a_shift(
    translator: FakeTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect = FakeSession.collect
    monkeypatch.setattr(FakeSession, "collect", lambda self, ticket: collect(self, ticket)[:-1])
    async with batcher(translator) as made:
        with pytest.raises(RuntimeError, match="2 texts went in and 1 translations came out"):
            await ask(made, "one", "two")


async def test_a_reader_is_told_what_is_settled_and_then_the_whole(translator: FakeTranslator) -> None:
    translator.told = ["", "", "<de>", "<de>te"]
    async with batcher(translator) as made:
        found = [each async for each in made.stream("text", source="en", target="de")]
        *told, translation = found
        assert isinstance(translation, Translation)
        assert translation.text == "<de>text"
        assert told, "nothing was told before the end"
        assert all(isinstance(each, Partial) and translation.text.startswith(each.text) for each in told)
        assert len(set(told)) == len(told), "nothing is told twice"


async def test_a_reader_who_leaves_frees_the_search(translator: FakeTranslator) -> None:
    translator.told = ["<de>"] * 10_000
    async with batcher(translator) as made:
        stream = made.stream("text", source="en", target="de")
        async for told in stream:
            if told == Partial("<de>", 0, 1):
                break
        await stream.aclose()
        await until(lambda: bool(translator.stopped))
        translator.told = []
        assert await ask(made, "next") == ["<de>next"]
    assert translator.stopped == [["text"]]


async def test_a_reader_who_never_began_to_read_frees_the_search_too(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        stream = made.stream("text", source="en", target="de")
        await until_taken(translator, 1)
        await stream.aclose()
        await until(lambda: bool(translator.stopped))
        assert made.characters_in_flight == 0
    assert translator.stopped == [["text"]]


async def test_a_reader_is_told_nothing_twice_when_a_neighbour_breaks_the_search(translator: FakeTranslator) -> None:
    translator.failures["boom"] = RuntimeError("broken on purpose")
    translator.told = ["<de>te"] * 5
    async with batcher(translator) as made:
        translator.hold()
        stream = made.stream("text", source="en", target="de")
        async for told in stream:
            if told == Partial("<de>te", 0, 1):
                break
        broken = ask(made, "boom")
        await until_taken(translator, 2)
        translator.release()
        rest = [each async for each in stream]
        assert isinstance(await asyncio.gather(broken, return_exceptions=True), list)
    *told_again, translation = rest
    assert isinstance(translation, Translation)
    assert translation.text == "<de>text"
    assert all(isinstance(each, Partial) and len(each.text) >= len("<de>te") for each in told_again)


async def test_a_failure_reaches_the_reader(translator: FakeTranslator) -> None:
    translator.failures["boom"] = InputError("no")
    async with batcher(translator) as made:
        with pytest.raises(InputError, match="no"):
            [_ async for _ in made.stream("boom", source="en", target="de")]


async def test_a_missed_deadline_reaches_the_reader(translator: FakeTranslator) -> None:
    async with batcher(translator, deadline_seconds=0.3) as made:
        translator.hold()
        with pytest.raises(DeadlineError, match="took longer"):
            [_ async for _ in made.stream("text", source="en", target="de")]


async def test_closing_finishes_what_waits_and_takes_no_more(translator: FakeTranslator) -> None:
    async with batcher(translator) as made:
        translator.hold()
        answers = [ask(made, f"{i}") for i in range(3)]
        await until_begun(translator)
    assert await asyncio.gather(*answers) == [["<de>0"], ["<de>1"], ["<de>2"]]
    assert not made.running
    with pytest.raises(BusyError, match="stopping"):
        await ask(made, "late")
