"""`stream: true`: what is told early comes true, the end is the plain answer, and who hangs up frees the search."""

import json
import time
from typing import Any

import httpx
import pytest

from tests.api.conftest import Service
from tests.api.fakes import PATIENCE_SECONDS, FakeTranslator
from tests.api.live import listening
from translator.errors import InputError

STATION = {"q": "Where is it?", "source": "en", "target": "de"}
STREAM = {**STATION, "stream": True}


def events_of(body: str) -> list[tuple[str, dict[str, Any]]]:
    """Every event's name and data, by the rules of the HTML standard."""
    found = []
    for block in filter(None, body.split("\n\n")):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((fields["event"], json.loads(fields["data"])))
    return found


@pytest.mark.anyio
@pytest.mark.parametrize("wishes", [{}, {"alignment": True, "scores": True, "signature": True, "alternatives": 2}])
async def test_the_end_is_the_plain_answer(service: Service, wishes: dict[str, object]) -> None:
    async with service() as client:
        plain = await client.post("/translate", json={**STATION, **wishes})
        streamed = await client.post("/translate", json={**STREAM, **wishes})
    assert streamed.status_code == 200
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    assert streamed.headers["Cache-Control"] == "no-cache"
    assert events_of(streamed.text)[-1] == ("done", plain.json())


@pytest.mark.anyio
async def test_what_settles_is_told_piece_by_piece(service: Service, translator: FakeTranslator) -> None:
    translator.told = ["", "<de>", "<de>Where", "<de>Where\nis"]
    async with service() as client:
        found = events_of((await client.post("/translate", json=STREAM)).text)
    *told, (last, body) = found
    assert last == "done"
    assert told
    assert {name for name, _ in told} == {"text"}
    text = "".join(word["delta"] for _, word in told)
    assert text
    assert "<de>Where\nis".startswith(text)
    assert {(word["done"], word["total"]) for _, word in told} == {(0, 1)}
    assert body == {"translatedText": "<de>Where is it?"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"q": " \n"}, {"translatedText": ""}, id="white space"),
        pytest.param({"target": "en"}, {"translatedText": "Where is it?"}, id="to itself"),
        pytest.param(
            {"q": "12", "source": "auto"},
            {"translatedText": "12", "detectedLanguage": {"confidence": 0, "language": "en"}},
            id="nothing to translate",
        ),
    ],
)
async def test_what_needs_no_translator_is_done_at_once(
    service: Service, translator: FakeTranslator, body: dict[str, str], expected: dict[str, object]
) -> None:
    async with service() as client:
        response = await client.post("/translate", json={**STREAM, **body})
    assert events_of(response.text) == [("done", expected)]
    assert translator.batches == []


@pytest.mark.anyio
async def test_the_language_is_found_out_first(service: Service) -> None:
    async with service() as client:
        asked = {"q": "Wo ist der Bahnhof, bitte?", "source": "auto", "target": "en", "stream": True}
        [*_, (_, body)] = events_of((await client.post("/translate", json=asked)).text)
    assert body["detectedLanguage"]["language"] == "de"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param({"target": "zz"}, "zz is not supported", id="language"),
        pytest.param({"q": ["one"]}, "a stream is of one text", id="array"),
        pytest.param({"format": "html"}, "a stream is of one text", id="html"),
        pytest.param({"stream": "perhaps"}, "stream parameter is not true or false", id="no boolean"),
    ],
)
async def test_what_is_refused_is_refused_with_a_status(service: Service, body: dict[str, Any], sentence: str) -> None:
    async with service() as client:
        response = await client.post("/translate", json={**STREAM, **body})
    assert response.status_code == 400
    assert sentence in response.json()["error"]


@pytest.mark.anyio
async def test_a_busy_server_refuses_with_a_status(service: Service, translator: FakeTranslator) -> None:
    async with service(queue_characters=1, deadline_seconds=0.5) as client:
        translator.hold()
        app = client._transport.app  # type: ignore[attr-defined]
        waiting = app.state.batcher.stream("a text", source="en", target="de")
        response = await client.post("/translate", json=STREAM)
        await waiting.aclose()
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        pytest.param(InputError("This text cannot be taken."), "This text cannot be taken.", id="foreseen"),
        pytest.param(RuntimeError("secret"), "The translation failed; the server's log says why.", id="not foreseen"),
    ],
)
async def test_what_goes_wrong_later_is_an_event(
    service: Service, translator: FakeTranslator, error: Exception, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    translator.failures["Where is it?"] = error
    async with service() as client:
        response = await client.post("/translate", json=STREAM)
    assert events_of(response.text)[-1] == ("error", {"error": sentence})
    assert ("secret" in caplog.text) is ("log says why" in sentence)


def test_who_hangs_up_frees_the_search() -> None:
    translator = FakeTranslator()
    translator.told = ["<de>"] * 100_000
    with listening(translator) as address:
        with httpx.stream("POST", f"{address}/translate", json=STREAM, timeout=PATIENCE_SECONDS) as response:
            assert next(response.iter_text()).startswith("event: text")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not translator.stopped and time.monotonic() < deadline:
            time.sleep(0.01)
        assert translator.stopped == [["Where is it?"]]
        translator.told = []
