"""DeepL's API: fields, forms, codes with regions, and errors that its client can read."""

from typing import Any

import pytest

from tests.api.conftest import Service
from tests.api.fakes import FakeTranslator
from tests.api.test_answers import FULL, LINKS, SCORES

pytestmark = pytest.mark.anyio

GERMAN, FRENCH = "Wo ist hier der Bahnhof?", "Où est la gare, s'il vous plaît ?"
FORM = "application/x-www-form-urlencoded"


def item(text: str, came: str, source: str = "EN") -> dict[str, object]:
    return {"detected_source_language": source, "text": text, "billed_characters": len(came)}


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"json": {"text": ["a", "b"], "source_lang": "EN", "target_lang": "DE"}}, id="JSON"),
        pytest.param({"data": {"text": ["a", "b"], "source_lang": "en", "target_lang": "de"}}, id="repeated in a form"),
        pytest.param(
            {
                "json": {
                    "text": ["a", "b"],
                    "source_lang": "EN",
                    "target_lang": "DE-AT",
                    "show_billed_characters": True,
                    "split_sentences": "nonewlines",
                    "preserve_formatting": True,
                    "formality": "prefer_more",
                    "context": "Letters.",
                    "glossary_id": None,
                    "ignore_tags": ["x"],
                    "model_type": "latency_optimized",
                }
            },
            id="all that changes little",
        ),
    ],
)
async def test_texts_are_translated_in_order(service: Service, parts: dict[str, Any]) -> None:
    async with service() as client:
        response = await client.post("/v2/translate", **parts, headers={"Authorization": "DeepL-Auth-Key any"})
    assert (response.status_code, response.json()) == (200, {"translations": [item("<de>a", "a"), item("<de>b", "b")]})


async def test_lines_are_joined_where_newlines_are_to_split_nothing(
    service: Service, translator: FakeTranslator
) -> None:
    wish = {"text": ["a\nb\n\nc"], "source_lang": "EN", "target_lang": "DE"}
    async with service() as client:
        for split, text in (("nonewlines", "a b\n\nc"), ("1", "a\nb\n\nc"), ("0", "a\nb\n\nc")):
            response = await client.post("/v2/translate", json={**wish, "split_sentences": split})
            assert response.json() == {"translations": [item(f"<de>{text}", text)]}


async def test_a_single_text_may_be_a_string(service: Service) -> None:
    async with service() as client:
        response = await client.post("/v2/translate", json={"text": "a", "source_lang": "EN", "target_lang": "DE"})
    assert response.json() == {"translations": [item("<de>a", "a")]}


async def test_tags_stay_tags(service: Service, translator: FakeTranslator) -> None:
    texts = [f"<p>{GERMAN}</p>", "<br>", "<p>Good morning, how are you?"]
    async with service() as client:
        response = await client.post("/v2/translate", json={"text": texts, "target_lang": "EN", "tag_handling": "html"})
    found = response.json()["translations"]
    assert [each["text"] for each in found] == [f"<p>&lt;en&gt;{GERMAN}</p>", "<br>", texts[2]]
    assert [each["billed_characters"] for each in found] == list(map(len, texts))
    assert translator.batches == [[GERMAN]]


async def test_without_a_source_each_text_has_its_own(service: Service, translator: FakeTranslator) -> None:
    texts = [GERMAN, "Good morning, how are you?", "", FRENCH, " 7 "]
    async with service() as client:
        response = await client.post("/v2/translate", json={"text": texts, "target_lang": "EN-GB"})
    found = response.json()["translations"]
    assert [each["detected_source_language"] for each in found] == ["DE", "EN", "EN", "FR", "EN"]
    assert [each["text"] for each in found] == ["<en>" + GERMAN, texts[1], "", "<en>" + FRENCH, " 7 "]
    assert [each["billed_characters"] for each in found] == list(map(len, texts))
    assert translator.batches == [[GERMAN, FRENCH]]


async def test_our_own_fields_come_through_the_clients_door(service: Service, translator: FakeTranslator) -> None:
    translator.answers["Hello"] = FULL
    body = {"text": ["Hello", ""], "source_lang": "EN", "target_lang": "DE", "alignment": True, "scores": True}
    async with service() as client:
        first, second = (await client.post("/v2/translate", json=body)).json()["translations"]
    assert first == {**item("Hallo", "Hello"), "alignment": LINKS, "scores": SCORES}
    assert second["alignment"] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"text": None}, "Parameter 'text' not specified.", id="no text"),
        pytest.param({"text": []}, "Parameter 'text' not specified.", id="no texts"),
        pytest.param({"text": [1]}, "Value for 'text' is not a string or an array of strings.", id="a number"),
        pytest.param({"text": {"a": 1}}, "Value for 'text' is not a string or an array of strings.", id="an object"),
        pytest.param({"text": list("abcd")}, "There are 4 texts, and at most 3 are taken at once.", id="many texts"),
        pytest.param({"text": ["a" * 61]}, "A text has 61 characters, and at most 60 are taken.", id="long text"),
        pytest.param({"target_lang": ""}, "Parameter 'target_lang' not specified.", id="no target"),
        pytest.param({"target_lang": 7}, "Value for 'target_lang' is not a string.", id="a number as target"),
        pytest.param(
            {"target_lang": "ZZ"},
            "Value for 'target_lang' not supported: ZZ; /v2/languages lists what is.",
            id="unknown target",
        ),
        pytest.param(
            {"source_lang": "ZZ-YY"},
            "Value for 'source_lang' not supported: ZZ-YY; /v2/languages lists what is.",
            id="unknown source",
        ),
        pytest.param(
            {"target_lang": "FR"},
            "French (fr) is not available as a target language from English (en)",
            id="missing direction",
        ),
        pytest.param(
            {"formality": "less"},
            "'formality' is not supported for given 'target_lang'; prefer_more and such are.",
            id="formality",
        ),
        pytest.param(
            {"formality": "MORE"},
            "'formality' is not supported for given 'target_lang'; prefer_more and such are.",
            id="formality in capitals",
        ),
        pytest.param(
            {"tag_handling": "xml"}, "Value for 'tag_handling' not supported: xml; html is.", id="another markup"
        ),
        pytest.param(
            {"tag_handling": "html", "ignore_tags": ["x"]},
            "With 'tag_handling', 'ignore_tags', 'alignment' and 'scores' are not supported.",
            id="tags to ignore",
        ),
        pytest.param({"alignment": "maybe"}, "Value for 'alignment' is not true or false.", id="neither"),
        *(
            pytest.param(
                {name: value}, f"{name} is not served here; send the request without it.", id=f"{name} is not served"
            )
            for name, value in {"style_id": "s", "glossary_id": "g", "custom_instructions": ["x"]}.items()
        ),
    ],
)
async def test_refusals_say_what_is_wrong(service: Service, change: dict[str, object], message: str) -> None:
    body = {"text": ["a"], "source_lang": "EN", "target_lang": "DE", **change}
    async with service(max_text_characters=60, max_texts=3) as client:
        response = await client.post("/v2/translate", json=body)
    assert (response.status_code, response.json()) == (400, {"message": message})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("POST", "/v2/document", 404, id="not there"),
        pytest.param("GET", "/v2/translate", 405, id="not so"),
        pytest.param("POST", "/v2/translate", 413, id="too much"),
    ],
)
async def test_every_error_below_v2_has_deepls_name(service: Service, method: str, path: str, status: int) -> None:
    async with service(max_body_bytes=10) as client:
        response = await client.request(method, path, json={"text": ["0123456789"], "target_lang": "DE"})
    assert response.status_code == status
    assert set(response.json()) == {"message"} and isinstance(response.json()["message"], str)


async def test_broken_json_and_engine_faults(service: Service, translator: FakeTranslator) -> None:
    translator.failures["boom"] = RuntimeError("secret detail")
    async with service() as client:
        broken = await client.post("/v2/translate", content=b"{", headers={"Content-Type": "application/json"})
        failed = await client.post("/v2/translate", json={"text": ["boom"], "source_lang": "EN", "target_lang": "DE"})
    assert (broken.status_code, set(broken.json())) == (400, {"message"})
    assert (failed.status_code, set(failed.json())) == (500, {"message"})


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"params": {"type": "target"}}, id="in the query"),
        pytest.param({"data": {"type": "target"}}, id="in the body, as the official client does"),
        pytest.param(
            {"params": {"type": "TARGET"}, "headers": {"Content-Type": "application/json"}},
            id="with a content type for no body",
        ),
    ],
)
async def test_targets_have_regions(service: Service, parts: dict[str, Any]) -> None:
    async with service() as client:
        response = await client.request("GET", "/v2/languages", **parts)
    assert response.json() == [
        {"language": "DE", "name": "German", "supports_formality": False},
        {"language": "EN-GB", "name": "English (United Kingdom)", "supports_formality": False},
        {"language": "EN-US", "name": "English (United States)", "supports_formality": False},
    ]


async def test_sources_have_none(service: Service) -> None:
    async with service() as client:
        response = await client.get("/v2/languages")
        wrong = await client.get("/v2/languages", params={"type": "both"})
    assert [(each["language"], each["name"]) for each in response.json()] == [
        ("DE", "German"), ("EN", "English"), ("FR", "French"),
    ]  # fmt: skip
    assert wrong.status_code == 400


async def test_usage_counts_what_was_translated(service: Service, translator: FakeTranslator) -> None:
    translator.failures["boom"] = RuntimeError("broken on purpose")
    async with service() as client:
        before = (await client.get("/v2/usage")).json()
        await client.post("/v2/translate", json={"text": ["four", "five5"], "source_lang": "EN", "target_lang": "DE"})
        await client.post("/v2/translate", json={"text": ["boom"], "source_lang": "EN", "target_lang": "DE"})
        after = (await client.get("/v2/usage")).json()
    assert (before["character_count"], after["character_count"]) == (0, 9)
    assert after["character_limit"] > 10**9
