"""`POST /translate` as LibreTranslate's clients know it: bodies, shapes, sentences."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from api.body import BROKEN_JSON
from api.schemas import TranslateRequest
from tests.api.conftest import Service
from tests.api.fakes import PATIENCE_SECONDS, FakeTranslator

pytestmark = pytest.mark.anyio

STATION = {"q": "Where is the train station?", "source": "en", "target": "de"}
STATION_DE = {"translatedText": "<de>Where is the train station?"}
JSON_TEXT = json.dumps(STATION)
FORM = "application/x-www-form-urlencoded"
NOT_UTF8 = "Invalid request: the form is not UTF-8 text; send it encoded as UTF-8"
WRONG_COUNTS: tuple[object, ...] = (None, False, True, [], {}, 0.5)


@pytest.mark.parametrize(
    "request_parts",
    [
        pytest.param({"json": STATION}, id="JSON"),
        pytest.param(
            {"content": JSON_TEXT, "headers": {"Content-Type": "application/json; charset=utf-8"}},
            id="JSON with a charset",
        ),
        pytest.param({"content": JSON_TEXT, "headers": {"Content-Type": FORM}}, id="JSON that curl -d calls a form"),
        pytest.param({"content": f"\n {JSON_TEXT}"}, id="JSON without a content type"),
        pytest.param({"data": STATION}, id="urlencoded form"),
        pytest.param({"files": {name: (None, text) for name, text in STATION.items()}}, id="multipart form"),
        pytest.param({"params": STATION}, id="query string alone"),
        pytest.param(
            {"content": "q=Where+is%20the train station%3F&source=en&target=de", "headers": {"Content-Type": FORM}},
            id="form half encoded",
        ),
        pytest.param({"params": {"target": "de"}, "data": {**STATION, "target": "en"}}, id="query before form"),
        pytest.param({"json": STATION, "params": {"target": "fr"}}, id="JSON alone when there is JSON"),
        pytest.param({"json": {**STATION, "format": "text", "alternatives": 0}}, id="defaults spelt out"),
        pytest.param({"json": {**STATION, "format": None}}, id="null for the default format"),
        pytest.param({"json": {**STATION, "alternatives": "0"}}, id="a number as a string"),
        pytest.param({"data": {**STATION, "format": "", "alternatives": "-2"}}, id="empty and negative"),
        pytest.param({"json": {**STATION, "secret": "x", "api_key": ""}}, id="fields of the upstream page"),
        pytest.param({"json": {**STATION, "source": "EN", "target": "De"}}, id="codes in any case"),
    ],
)
async def test_every_kind_of_body_is_read(service: Service, request_parts: dict[str, Any]) -> None:
    async with service() as client:
        response = await client.post("/translate", **request_parts)
    assert (response.status_code, response.json()) == (200, STATION_DE)


@pytest.mark.parametrize(
    ("q", "translated"),
    [
        pytest.param(["one"], ["<de>one"], id="an array of one stays an array"),
        pytest.param(["b", "a", "b"], ["<de>b", "<de>a", "<de>b"], id="order and repeats are kept"),
        pytest.param(["", "a", " \n"], ["", "<de>a", ""], id="empty items come back empty in place"),
        pytest.param(["", ""], ["", ""], id="nothing but empty items"),
        pytest.param(" \t\n", "", id="white space alone"),
        pytest.param("\n two  \r\n\r\nlines\n", "<de>\n two  \r\n\r\nlines\n", id="line ends are kept"),
        pytest.param("😀 👩‍👩‍👧 \u0007", "<de>😀 👩‍👩‍👧 \u0007", id="emoji and a control character"),
        pytest.param("{not json", "<de>{not json", id="a brace inside JSON"),
    ],
)
async def test_shapes_of_answers(service: Service, q: object, translated: object) -> None:
    async with service() as client:
        response = await client.post("/translate", json={**STATION, "q": q})
    assert response.json() == {"translatedText": translated}


async def test_lone_surrogates_become_replacement_characters(service: Service) -> None:
    body = r'{"q": ["Hi \ud83d!", "\ude00", "\ud83d\ude00"], "source": "en", "target": "de"}'
    async with service() as client:
        response = await client.post("/translate", content=body, headers={"Content-Type": "application/json"})
    assert response.json() == {"translatedText": ["<de>Hi \ufffd!", "<de>\ufffd", "<de>😀"]}


@pytest.mark.parametrize("body", ["q=Grüße&source=de&target=en", "q=Gr%C3%BC%C3%9Fe&source=de&target=en"])
async def test_a_form_is_utf8_encoded_or_not(service: Service, body: str) -> None:
    async with service() as client:
        response = await client.post("/translate", content=body.encode(), headers={"Content-Type": FORM})
    assert response.json() == {"translatedText": "<en>Grüße"}


@pytest.mark.parametrize(
    ("asked", "detailed"),
    [
        pytest.param({}, False, id="nothing besides"),
        pytest.param({"alternatives": 2, "signature": True}, False, id="nothing of words"),
        pytest.param({"alignment": True}, True, id="alignment"),
        pytest.param({"scores": True}, True, id="scores"),
        pytest.param({"format": "html"}, True, id="markup"),
        pytest.param({"stream": True}, False, id="a stream"),
        pytest.param({"stream": True, "scores": True}, True, id="scores at its end"),
    ],
)
async def test_words_are_linked_where_that_is_asked_for(
    service: Service, translator: FakeTranslator, asked: dict[str, object], detailed: bool
) -> None:
    async with service() as client:
        await client.post("/translate", json={"q": "a", "source": "en", "target": "de", **asked})
        await client.post("/v2/translate", json={"text": ["b"], "source_lang": "EN", "target_lang": "DE"})
    assert translator.detailed == [detailed, False]


async def test_lines_are_joined_if_that_is_wished(service: Service) -> None:
    async with service() as client:
        wish = {"q": ["a\nb\n\n- c"], "source": "en", "target": "de", "join_lines": True}
        assert (await client.post("/translate", json=wish)).json() == {"translatedText": ["<de>a b\n\n- c"]}
        here = {**wish, "source": "de"}
        assert (await client.post("/translate", json=here)).json() == {"translatedText": wish["q"]}
        page = {**wish, "q": "<pre>a\nb</pre>", "format": "html"}
        assert (await client.post("/translate", json=page)).json() == {"translatedText": "<pre>&lt;de&gt;a\nb</pre>"}


async def test_a_language_to_itself_comes_back_unchanged(service: Service, translator: FakeTranslator) -> None:
    async with service() as client:
        response = await client.post("/translate", json={"q": [" a ", ""], "source": "de", "target": "DE"})
    assert response.json() == {"translatedText": [" a ", ""]}
    assert translator.batches == []


async def test_a_long_text_is_taken_whole(service: Service) -> None:
    text = "A sentence. " * 8334
    async with service() as client:
        for parts in ({"json": {**STATION, "q": text}}, {"data": {**STATION, "q": text}}):
            response = await client.post("/translate", **parts)  # type: ignore[arg-type]
            assert response.json() == {"translatedText": "<de>" + text}


def without(*names: str, **changes: object) -> dict[str, object]:
    return {name: value for name, value in {**STATION, **changes}.items() if name not in names}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(without("q"), "Invalid request: missing q parameter", id="no q"),
        pytest.param(without(q=""), "Invalid request: missing q parameter", id="empty q"),
        pytest.param(without(q=[]), "Invalid request: missing q parameter", id="empty array"),
        pytest.param({}, "Invalid request: missing q parameter", id="nothing"),
        pytest.param(without("source"), "Invalid request: missing source parameter", id="no source"),
        pytest.param(without("target"), "Invalid request: missing target parameter", id="no target"),
        pytest.param(without(q=7), "Invalid request: q parameter is not a string or an array of strings", id="number"),
        pytest.param(
            without(q=["a", None]),
            "Invalid request: q parameter is not a string or an array of strings",
            id="null in the array",
        ),
        pytest.param(without(source=["en"]), "Invalid request: source parameter is not a string", id="source array"),
        pytest.param(without(source="zz"), "zz is not supported", id="unknown source"),
        pytest.param(without(target="zz"), "zz is not supported", id="unknown target"),
        pytest.param(without(target="z" * 5000), "z" * 40 + "… is not supported", id="a novel as language"),
        pytest.param(
            without(source="en", target="fr"),
            "French (fr) is not available as a target language from English (en)",
            id="missing direction",
        ),
        pytest.param(without(target="auto"), "auto is not supported", id="target auto"),
        pytest.param(without(format="markdown"), "markdown format is not supported", id="markdown"),
        pytest.param(
            without(alternatives=5), "Invalid request: alternatives parameter must be <= 4", id="alternatives"
        ),
        pytest.param(
            without(alternatives="abc"),
            "Invalid request: alternatives parameter is not a number",
            id="no number",
        ),
        *(
            pytest.param(
                without(alternatives=value),
                "Invalid request: alternatives parameter is not a number",
                id=f"alternatives {json.dumps(value)}",
            )
            for value in WRONG_COUNTS
        ),
        *(
            pytest.param(
                without(**{name: "maybe"}),
                f"Invalid request: {name} parameter is not true or false",
                id=f"{name} neither true nor false",
            )
            for name in ("alignment", "scores", "signature")
        ),
        pytest.param(without(q="1" * 61), "Invalid request: request (61) exceeds text limit (60)", id="long text"),
        pytest.param(
            without(q=["a", "b", "c", "d"]),
            "Invalid request: request (4) exceeds text limit (3)",
            id="many texts",
        ),
        pytest.param(
            without(q=[1] * 300_000),
            "Invalid request: request (300000) exceeds text limit (3)",
            id="many numbers: counted before they are looked at",
        ),
    ],
)
async def test_refusals_say_what_is_wrong(service: Service, body: object, sentence: str) -> None:
    async with service(max_text_characters=60, max_texts=3) as client:
        response = await client.post("/translate", json=body)
    assert (response.status_code, response.json()) == (400, {"error": sentence})


@pytest.mark.parametrize(
    ("content", "kind", "sentence"),
    [
        pytest.param(b'{"q": ', "application/json", BROKEN_JSON, id="cut short"),
        pytest.param(b"", "application/json", BROKEN_JSON, id="empty"),
        pytest.param(b'{"q": "\xff"}', "application/json", BROKEN_JSON, id="not UTF-8"),
        pytest.param(b"[" * 100_000, "application/json", BROKEN_JSON, id="nested without end"),
        pytest.param(b'["q"]', "application/json", "Invalid JSON format", id="array"),
        pytest.param(b'"q"', "application/json", "Invalid JSON format", id="string"),
        pytest.param(b'{"q": ', FORM, BROKEN_JSON, id="cut short, called a form"),
        pytest.param(b'{"q": "a"}', "text/plain", "Invalid request: missing q parameter", id="JSON called text"),
        pytest.param(
            b"q=a&q=b&source=en&target=de",
            FORM,
            "Invalid request: q parameter came more than once; send an array as JSON",
            id="two texts in a form",
        ),
        pytest.param(
            b"a=1&" * 1001, FORM, "Too many fields. Maximum number of fields is 1000.", id="a form of a thousand fields"
        ),
        pytest.param(b"q=Gr\xfc\xdfe&source=de&target=en", FORM, NOT_UTF8, id="a form in Latin-1"),
        pytest.param(b"q=Gr%FC%DFe&source=de&target=en", FORM, NOT_UTF8, id="a form in Latin-1, encoded"),
        pytest.param(b"q=a", "multipart/form-data", "Missing boundary in multipart.", id="multipart, no boundary"),
    ],
)
async def test_broken_bodies(service: Service, content: bytes, kind: str, sentence: str) -> None:
    async with service() as client:
        response = await client.post("/translate", content=content, headers={"Content-Type": kind})
    assert (response.status_code, response.json()) == (400, {"error": sentence})


def test_one_wrong_item_is_reported_not_all() -> None:
    with pytest.raises(ValidationError) as refusal:
        TranslateRequest.model_validate({**STATION, "q": [1] * 300_000})
    assert refusal.value.error_count() == 2  # no string, and no list of strings


@pytest.mark.parametrize("announced", [pytest.param(True, id="announced"), pytest.param(False, id="chunked")])
async def test_a_body_beyond_the_limit_is_413(service: Service, announced: bool) -> None:
    async def chunks() -> Any:
        for _ in range(10):
            yield b"q=" + b"a" * 100

    async with service(max_body_bytes=500) as client:
        content = b"q=" + b"a" * 1000 if announced else chunks()
        response = await client.post("/translate", content=content, headers={"Content-Type": FORM})
    assert response.status_code == 413
    assert "larger than 500 bytes" in response.json()["error"]


async def test_a_full_queue_is_503_with_retry_after(service: Service, translator: FakeTranslator) -> None:
    async with service(queue_characters=10) as client:
        translator.hold()
        answers = [asyncio.create_task(client.post("/translate", json={**STATION, "q": "in hand"}))]
        assert await asyncio.to_thread(translator.begun.wait, PATIENCE_SECONDS)
        answers.append(asyncio.create_task(client.post("/translate", json={**STATION, "q": "too"})))
        while len(translator.batches) < 2:
            await asyncio.sleep(0.002)
        refused = await client.post("/translate", json=STATION, headers={"Origin": "http://elsewhere.test"})
        translator.release()
        found = [answer.json() for answer in await asyncio.gather(*answers)]
    assert found == [{"translatedText": "<de>in hand"}, {"translatedText": "<de>too"}]
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert "characters are being translated" in refused.json()["error"]
    assert refused.headers["Access-Control-Allow-Origin"] == "*", "a web page must be able to read the error"


async def test_a_missed_deadline_is_504(service: Service, translator: FakeTranslator) -> None:
    async with service(deadline_seconds=0.3) as client:
        translator.hold()
        response = await client.post("/translate", json=STATION)
        translator.release()
    assert response.status_code == 504
    assert "took longer than the 0.3 seconds" in response.json()["error"]


async def test_an_engine_fault_is_500_without_a_trace(
    service: Service, translator: FakeTranslator, caplog: pytest.LogCaptureFixture
) -> None:
    translator.failures["boom"] = RuntimeError("secret detail")
    async with service() as client:
        response = await client.post("/translate", json={**STATION, "q": "boom"})
    assert (response.status_code, response.json()) == (
        500,
        {"error": "The translation failed; the server's log says why."},
    )
    assert "secret detail" in caplog.text


async def test_a_client_gone_in_mid_request_stops_its_work(service: Service, translator: FakeTranslator) -> None:
    async with service() as client:
        translator.hold()
        status = await _post_and_leave(client, translator)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not translator.stopped:
                await asyncio.sleep(0.002)
    assert translator.stopped == [[STATION["q"]]]
    assert status == 499


def application(client: httpx.AsyncClient) -> FastAPI:
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport) and isinstance(transport.app, FastAPI)
    return transport.app


async def _post_and_leave(client: httpx.AsyncClient, translator: FakeTranslator) -> int:
    """Speaks ASGI by hand: sends the body, and hangs up once the worker is at it."""
    messages = [{"type": "http.request", "body": JSON_TEXT.encode(), "more_body": False}]
    sent: list[Any] = []

    async def receive() -> dict[str, object]:
        if messages:
            return messages.pop()
        await asyncio.to_thread(translator.begun.wait, PATIENCE_SECONDS)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/translate",
        "raw_path": b"/translate",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("carousel.test", 80),
    }
    await application(client)(scope, receive, send)
    return int(sent[0]["status"])
