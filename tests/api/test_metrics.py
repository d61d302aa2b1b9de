"""`GET /metrics`, as Prometheus reads it, and `/ready`."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.conftest import Service
from tests.api.fakes import FakeTranslator
from translator.translation import SentenceScore, Translation

pytestmark = pytest.mark.anyio

HELLO = {"q": "Hello", "source": "en", "target": "de"}


async def read(client: httpx.AsyncClient) -> dict[tuple[str, ...], float]:
    """Every sample by its name and labels."""
    page = await client.get("/metrics")
    assert page.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_route_and_status(service: Service) -> None:
    async with service() as client:
        await client.post("/translate", json=HELLO)
        await client.post("/translate", json=HELLO)
        await client.post("/translate", json={})
        await client.head("/health")
        found = await read(client)
    assert found["carousel_request_seconds_count", "POST", "/translate", "200"] == 2
    assert found["carousel_request_seconds_count", "POST", "/translate", "400"] == 1
    assert found["carousel_request_seconds_count", "HEAD", "/health", "200"] == 1
    assert found["carousel_requests_in_progress",] == 1, "the one that asks"
    assert found["carousel_characters_in_flight",] == 0


async def test_work_is_counted(service: Service, translator: FakeTranslator) -> None:
    said = SentenceScore(0, 4, 0, 4, -1.0, None, None, token_count=3)
    translator.answers["four"] = Translation("vier", "en", "de", "four", sentences=(said, said))
    async with service() as client:
        await client.post("/translate", json={**HELLO, "q": ["four", "five5"]})
        found = await read(client)
    assert found["carousel_written_tokens_total",] == 6
    assert found["carousel_step_sentences_count",] == 1
    assert found["carousel_step_sentences_sum",] == 2
    assert found["carousel_translated_characters_total",] == 9


async def test_faults_are_counted(service: Service, translator: FakeTranslator) -> None:
    translator.failures["Hello"] = RuntimeError("broken on purpose")
    async with service() as client:
        await client.post("/translate", json=HELLO)
        found = await read(client)
    assert found["carousel_request_seconds_count", "POST", "/translate", "500"] == 1
    assert found["carousel_translated_characters_total",] == 0


async def test_what_strangers_send_makes_no_new_series(service: Service) -> None:
    async with service() as client:
        for number in range(3):
            await client.get(f"/nowhere/{number}")
            await client.request(f"X{number}", "/translate")
        found = await read(client)
    assert found["carousel_request_seconds_count", "GET", "unmatched", "404"] == 3
    assert sum(value for key, value in found.items() if key[:2] == ("carousel_request_seconds_count", "other")) == 3


async def test_two_applications_count_apart(service: Service) -> None:
    async with service() as one, service() as other:
        await one.post("/translate", json=HELLO)
        assert ("carousel_request_seconds_count", "POST", "/translate", "200") not in await read(other)


async def test_ready(service: Service) -> None:
    async with service() as client:
        assert (await client.get("/ready")).json() == {"status": "ok"}
