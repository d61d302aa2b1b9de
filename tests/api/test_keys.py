"""Keys and limits: who comes in, who does not, what each is told, and what the database holds."""

import asyncio
import hashlib
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakeredis import TcpFakeServer
from limits.errors import StorageError
from typer.testing import CliRunner

from api.app import create_app
from api.keys import PREFIX, KeyStore
from api.settings import Settings
from carousel.cli import app
from tests.api.conftest import Service
from tests.api.fakes import PATIENCE_SECONDS, FakeTranslator
from translator.errors import ConfigError

STATION = {"q": "Where is it?", "source": "en", "target": "de"}
DEEPL = {"text": ["Where is it?"], "target_lang": "DE", "source_lang": "EN"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'keys.db'}"


@pytest.fixture
def store(url: str) -> Iterator[KeyStore]:
    made = KeyStore(url)
    yield made
    made.close()


# --- the store ----------------------------------------------------------------------------------------------------


def test_a_key_is_found_until_it_is_revoked(store: KeyStore) -> None:
    key, other = store.create("phone", 30), store.create("laptop")
    assert key != other
    assert key.startswith(PREFIX)
    found = store.find(key)
    assert found is not None
    assert (found.name, found.requests_per_minute) == ("phone", 30)
    assert [each.name for each in store.list()] == ["phone", "laptop"]
    store.revoke("phone")
    assert store.find(key) is None
    assert store.find(other) is not None


@pytest.mark.parametrize("wrong", ["", PREFIX, "x" * 100_000, "\ud800", "' or 1=1 --"])
def test_what_is_no_key_is_not_found(store: KeyStore, wrong: str) -> None:
    store.create("phone")
    assert store.find(wrong) is None


def test_the_database_holds_hashes_and_no_key(store: KeyStore, url: str) -> None:
    key = store.create("phone")
    content = Path(url.removeprefix("sqlite:///")).read_bytes()
    assert key.encode() not in content
    assert hashlib.sha256(key.encode()).hexdigest().encode() in content
    assert hashlib.sha256(key.encode()).hexdigest() not in repr(store.list())


def test_keys_outlive_the_process_that_made_them(store: KeyStore, url: str) -> None:
    key = store.create("phone")
    assert KeyStore(url).find(key) is not None


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "two\nlines"])
def test_a_key_needs_a_name_that_can_be_shown(store: KeyStore, name: str) -> None:
    with pytest.raises(ConfigError, match="A key needs a name of 1 to 100 characters"):
        store.create(name)


def test_names_are_taken_once(store: KeyStore) -> None:
    store.create("phone")
    with pytest.raises(ConfigError, match="There is a key named 'phone' already; revoke it"):
        store.create("phone")
    with pytest.raises(ConfigError, match="There is no key named 'lost'"):
        store.revoke("lost")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        pytest.param("keys.db", "cannot be opened: Could not parse SQLAlchemy URL", id="no address"),
        pytest.param("postgresql://u:p@h:port/x", "cannot be opened: invalid literal", id="no port"),
        pytest.param("sqlite://", "cannot be opened: it names no file", id="in memory"),
        pytest.param("oracle9://x/y", "cannot be opened: Can't load plugin", id="unknown kind"),
        pytest.param("sqlite:////nowhere/keys.db", "cannot be used: unable to open database file", id="no folder"),
    ],
)
def test_a_database_that_cannot_be_used_is_a_sentence(wrong: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        KeyStore(wrong)
    with pytest.raises(ConfigError, match=sentence):
        create_app(Settings(keys=wrong), FakeTranslator())


def test_a_password_is_not_shown() -> None:
    with pytest.raises(ConfigError) as refusal:
        KeyStore("sqlite://user:secret@nowhere/keys.db")
    assert "secret" not in str(refusal.value)


# --- the command --------------------------------------------------------------------------------------------------


def test_the_command_makes_lists_and_revokes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner()
    monkeypatch.setenv("CAROUSEL_KEYS", url)
    made = run.invoke(app, ["keys", "create", "phone", "--requests-per-minute", "5"])
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert KeyStore(url).find(key) is not None
    assert "only time" in made.stderr
    listed = run.invoke(app, ["keys", "list", "--database", url]).stdout
    assert listed.startswith("phone\t")
    assert listed.endswith("\t5 requests a minute\n")
    assert run.invoke(app, ["keys", "revoke", "phone"]).exit_code == 0
    assert KeyStore(url).find(key) is None
    assert "There are no keys yet" in run.invoke(app, ["keys", "list"]).stderr
    again = run.invoke(app, ["keys", "revoke", "phone"])
    assert again.exit_code == 2
    assert "There is no key named 'phone'" in again.stderr


def test_the_command_asks_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAROUSEL_KEYS", raising=False)
    refused = CliRunner().invoke(app, ["keys", "list"])
    assert refused.exit_code == 2
    assert "Give --database sqlite:///keys.db, or set CAROUSEL_KEYS" in refused.stderr


# --- the door -----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_without_keys_any_is_taken(service: Service) -> None:
    async with service() as client:
        assert (await client.post("/translate", json={**STATION, "api_key": "any"})).status_code == 200
        settings = (await client.get("/frontend/settings")).json()
    assert (settings["apiKeys"], settings["keyRequired"]) == (False, False)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/translate", "/detect"])
async def test_libretranslates_clients_give_the_key_as_a_parameter(
    service: Service, store: KeyStore, url: str, path: str
) -> None:
    key = store.create("phone")
    async with service(keys=url) as client:
        assert (await client.post(path, json={**STATION, "api_key": key})).status_code == 200
        assert (await client.post(path, data={**STATION, "api_key": key})).status_code == 200
        assert (await client.post(path, params={**STATION, "api_key": key})).status_code == 200
        missing = await client.post(path, json=STATION)
        wrong = await client.post(path, json={**STATION, "api_key": "wrong"})
        odd = await client.post(path, json={**STATION, "api_key": [key]})
        settings = (await client.get("/frontend/settings")).json()
        store.revoke("phone")
        revoked = await client.post(path, json={**STATION, "api_key": key})
    needed = {"error": "Please contact the server operator to get an API key"}
    assert (missing.status_code, missing.json()) == (400, needed)
    assert (odd.status_code, odd.json()) == (400, needed)
    for refused in (wrong, revoked):
        assert (refused.status_code, refused.json()) == (403, {"error": "Invalid API key"})
    assert (settings["apiKeys"], settings["keyRequired"]) == (True, True)


@pytest.mark.anyio
async def test_deepls_clients_give_the_key_in_a_header(service: Service, store: KeyStore, url: str) -> None:
    key = store.create("phone")
    async with service(keys=url) as client:
        for method, path in (
            ("POST", "/v2/translate"),
            ("GET", "/v2/languages"),
            ("GET", "/v2/usage"),
            ("GET", "/v2/glossary-language-pairs"),
        ):
            for value, status in (
                (f"DeepL-Auth-Key {key}", 200),
                ("DeepL-Auth-Key wrong", 403),
                (f"Bearer {key}", 403),
                ("", 403),
            ):
                body = DEEPL if method == "POST" else None
                answer = await client.request(method, path, json=body, headers={"Authorization": value})
                assert answer.status_code == status, (path, value)
                assert ("message" in answer.json()) is (status == 403)


@pytest.mark.anyio
async def test_what_needs_no_key(service: Service, url: str) -> None:
    async with service(keys=url) as client:
        for path in ("/", "/languages", "/health", "/ready", "/metrics", "/docs", "/openapi.json"):
            assert (await client.get(path)).status_code == 200, path


@pytest.mark.anyio
async def test_where_no_key_is_required_one_only_has_a_limit_of_its_own(
    service: Service, store: KeyStore, url: str
) -> None:
    key = store.create("phone", 3)
    async with service(keys=url, key_required=False, rate_limit="1/minute") as client:
        nobody = [(await client.post("/translate", json=STATION)).status_code for _ in range(2)]
        phone = [(await client.post("/translate", json={**STATION, "api_key": key})).status_code for _ in range(4)]
        settings = (await client.get("/frontend/settings")).json()
    assert nobody == [200, 429]
    assert phone == [200, 200, 200, 429]
    assert (settings["apiKeys"], settings["keyRequired"]) == (True, False)


@pytest.mark.anyio
async def test_too_many_requests_are_told_when_to_come_back(service: Service, translator: FakeTranslator) -> None:
    async with service(rate_limit="2/minute") as client:
        for _ in range(2):
            await client.post("/translate", json=STATION)
        refused = await client.post("/translate", json=STATION)
        deepl = await client.post("/v2/translate", json=DEEPL)
        free = await client.get("/languages")
    assert (refused.status_code, refused.json()) == (429, {"error": "Slowdown: 2 per 1 minute"})
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    assert (deepl.status_code, deepl.json()) == (429, {"message": "Slowdown: 2 per 1 minute"})
    assert free.status_code == 200
    assert len(translator.batches) == 2


@pytest.mark.anyio
async def test_who_tries_keys_out_is_slowed_down(service: Service, store: KeyStore, url: str) -> None:
    key = store.create("phone")
    async with service(keys=url, rate_limit="3/minute") as client:
        tried = [(await client.post("/translate", json={**STATION, "api_key": f"{n}"})).status_code for n in range(5)]
        right = await client.post("/translate", json={**STATION, "api_key": key})
    assert tried == [403, 403, 403, 429, 429]
    assert right.status_code == 200, "who has a key is counted by it"


@pytest.mark.anyio
async def test_a_locked_database_is_503_and_not_a_wrong_key(
    service: Service, store: KeyStore, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = store.create("phone")
    writer = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    async with service(keys=url) as client:
        writer.execute("begin exclusive")
        refused = await client.post("/translate", json={**STATION, "api_key": key})
        writer.execute("rollback")
        later = await client.post("/translate", json={**STATION, "api_key": key})
    writer.close()
    assert refused.status_code == 503
    assert refused.json() == {"error": "Keys cannot be checked at the moment; try again later"}
    assert "Retry-After" in refused.headers
    assert "database is locked" in caplog.text
    assert key not in caplog.text
    assert later.status_code == 200


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        pytest.param({"rate_limit": "often"}, "The rate limit 'often' cannot be kept; write it as 60/minute"),
        pytest.param({"rate_limit": "0/minute"}, "The rate limit '0/minute' cannot be kept"),
        pytest.param(
            {"rate_limit_storage": "redi://:secret@x"}, "Requests cannot be counted in 'redi'; give memory://"
        ),
    ],
)
def test_a_limit_that_cannot_be_kept_is_a_sentence(wrong: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as refusal:
        create_app(Settings.model_validate(wrong), FakeTranslator())
    assert "secret" not in str(refusal.value)


@pytest.fixture
def redis_address() -> Iterator[str]:
    """A server that speaks Redis's protocol, on a port of this machine."""
    server = TcpFakeServer(("127.0.0.1", 0))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"redis://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.anyio
async def test_processes_that_share_a_redis_count_together(service: Service, redis_address: str) -> None:
    settings = {"rate_limit": "3/minute", "rate_limit_storage": redis_address}
    async with service(**settings) as one, service(**settings) as other:
        asked = [
            (await client.post("/translate", json=STATION)).status_code for client in (one, other, one, other, one)
        ]
    assert asked == [200, 200, 200, 429, 429]


@pytest.mark.anyio
async def test_a_redis_that_is_not_there_is_503(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with service(rate_limit="3/minute", rate_limit_storage=f"redis://127.0.0.1:{port}") as client:
        refused = await client.post("/translate", json=STATION)
    assert refused.status_code == 503
    assert refused.json() == {"error": "Requests cannot be counted at the moment; try again later"}


@pytest.mark.anyio
async def test_counters_that_do_not_answer_are_503(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_: object) -> bool:
        raise StorageError(ConnectionError("no route to the counters"))

    monkeypatch.setattr("api.admission.MovingWindowRateLimiter.hit", unreachable)
    async with service(rate_limit="2/minute") as client:
        refused = await client.post("/translate", json=STATION)
    assert refused.status_code == 503
    assert refused.json() == {"error": "Requests cannot be counted at the moment; try again later"}


@pytest.mark.anyio
async def test_a_database_that_does_not_answer_is_503_and_keeps_nobody_else_waiting(
    service: Service, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(KeyStore, "find", lambda *_: answered.wait(PATIENCE_SECONDS))
    monkeypatch.setattr("api.admission.KEYS_SECONDS", 0.2)
    async with service(keys=url, key_required=False) as client:
        stuck = [asyncio.create_task(client.post("/translate", json={**STATION, "api_key": "any"})) for _ in range(20)]
        await asyncio.sleep(0)
        try:
            assert (await client.post("/translate", json=STATION)).status_code == 200
            refused = await asyncio.gather(*stuck)
        finally:
            answered.set()
    assert {answer.status_code for answer in refused} == {503}
