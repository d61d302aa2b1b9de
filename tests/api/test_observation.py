"""What is noted of a request: its id, its line, and nothing that a client wrote."""

import json
import logging
import logging.config
from typing import Any

import pytest

from api.observation import request_id
from api.server import _log_config
from tests.api.conftest import Service
from tests.api.fakes import FakeTranslator

pytestmark = pytest.mark.anyio

STATION = {"q": "Where is my secret?", "source": "en", "target": "de", "api_key": "hidden"}


@pytest.mark.parametrize("path", ["/", "/docs", "/languages", "/health", "/metrics", "/nowhere", "/translate"])
async def test_every_answer_has_an_id_and_is_taken_as_what_it_is(service: Service, path: str) -> None:
    async with service() as client:
        one, other = await client.get(path), await client.get(path)
    assert one.headers["X-Request-ID"] != other.headers["X-Request-ID"]
    assert one.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert one.headers.get_list("Referrer-Policy") == ["no-referrer"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param("order-66.A_b", True, id="plain"),
        pytest.param("a" * 65, False, id="long"),
        pytest.param("two words", False, id="space"),
        pytest.param("", False, id="empty"),
    ],
)
async def test_the_clients_own_id_is_kept_if_a_log_can_show_it(service: Service, sent: str, kept: bool) -> None:
    async with service() as client:
        answered = (await client.get("/health", headers={"X-Request-ID": sent})).headers["X-Request-ID"]
    assert (answered == sent) is kept
    assert answered


async def test_a_line_a_request_says_nothing_that_a_client_wrote(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="api.observation")
    async with service(access_log=True) as client:
        await client.post("/translate", params=STATION)
        await client.get("/secret/path?q=secret")
    [first, second] = [record for record in caplog.records if record.name == "api.observation"]
    assert first.getMessage().startswith("POST /translate 200 in ")
    assert second.getMessage().startswith("GET unmatched 404 in ")
    assert vars(first)["status"] == 200
    assert "secret" not in caplog.text
    assert "hidden" not in caplog.text


async def test_without_the_setting_there_is_no_line(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="api.observation")
    async with service() as client:
        await client.get("/health")
    assert [record for record in caplog.records if record.name == "api.observation"] == []


async def test_what_is_logged_while_a_request_is_answered_names_it(
    service: Service, translator: FakeTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator.failures["boom"] = RuntimeError("broken on purpose")
    seen: list[str] = []
    monkeypatch.setattr("api.errors.logger.error", lambda *_, **__: seen.append(request_id.get()))
    async with service() as client:
        await client.post("/translate", json={**STATION, "q": "boom"}, headers={"X-Request-ID": "mine"})
    assert seen == ["mine"]


async def test_an_answer_that_nobody_foresaw_has_an_id_too_and_any_page_may_read_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    seen: list[str] = []
    monkeypatch.setattr("api.errors.logger.error", lambda *_, **__: seen.append(request_id.get()))
    monkeypatch.setattr("api.languages.Languages.listing", broken)
    async with service() as client:
        headers = {"X-Request-ID": "mine", "Origin": "http://elsewhere.test"}
        answer = await client.get("/languages", headers=headers)
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (500, "mine")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "secret" not in answer.text
    assert seen == ["mine"]


def formatted(form: str, capsys: pytest.CaptureFixture[str], **facts: Any) -> str:
    """What the configured handler writes of one record."""
    config = _log_config("info", form)
    logger = logging.getLogger("api.test")
    previous = logging.getLogger("api").handlers, logging.getLogger("api").propagate, logging.getLogger("api").level
    token = request_id.set("mine")
    try:
        logging.config.dictConfig(config)
        logger.info("hello %s", "there", extra=facts)
    finally:
        request_id.reset(token)
        api = logging.getLogger("api")
        api.handlers, api.propagate, api.level = previous
    return capsys.readouterr().err


async def test_a_line_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert formatted("text", capsys).endswith("hello there [mine]\n")


async def test_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(formatted("json", capsys, status=200))
    assert found.pop("time")
    assert found == {
        "level": "INFO", "logger": "api.test", "message": "hello there", "request_id": "mine", "status": 200,
    }  # fmt: skip
