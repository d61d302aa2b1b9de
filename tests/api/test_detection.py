"""Language detection: `source: auto`, and `POST /detect`."""

from typing import Any

import pytest

from api.detection import READ_CHARACTERS, Detected, LanguageDetector
from tests.api.conftest import Service
from tests.api.fakes import FakeTranslator

pytestmark = pytest.mark.anyio

GERMAN, ENGLISH, FRENCH = "Wo ist hier der Bahnhof?", "Where is the train station?", "Où est la gare, s'il vous plaît ?"


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    return LanguageDetector(["fr", "en", "de"])


@pytest.mark.parametrize(
    ("text", "language"),
    [
        pytest.param(GERMAN, "de", id="German"),
        pytest.param(ENGLISH, "en", id="English"),
        pytest.param(FRENCH, "fr", id="French"),
        pytest.param(FRENCH.upper(), "fr", id="capitals"),
        pytest.param("\n\n  Guten Morgen", "de", id="two words behind blank lines"),
    ],
)
def test_the_likeliest_language_comes_first(detector: LanguageDetector, text: str, language: str) -> None:
    ranking = detector.rank(text)
    assert ranking[0].language == language
    assert sorted(found.language for found in ranking) == ["de", "en", "fr"]
    assert [found.confidence for found in ranking] == sorted((found.confidence for found in ranking), reverse=True)
    assert sum(found.confidence for found in ranking) == pytest.approx(100, abs=2), "rounded, each for itself"


@pytest.mark.parametrize("text", ["", " \n", "😀 👩‍👩‍👧", "12:30", "?!"])
def test_a_text_without_letters_says_nothing(detector: LanguageDetector, text: str) -> None:
    assert detector.rank(text) == [Detected("en", 0)]


def test_without_english_the_first_language_stands_for_nothing() -> None:
    assert LanguageDetector(["fr", "de"]).rank("7") == [Detected("de", 0)]


def test_a_language_that_nobody_can_tell_is_never_detected() -> None:
    assert [found.language for found in LanguageDetector(["en", "de", "x-toy"]).rank(GERMAN)] == ["de", "en"]
    assert LanguageDetector(["x-toy", "x-words"]).rank(GERMAN) == [Detected("x-toy", 0)]


def test_only_the_beginning_of_a_long_text_is_read(detector: LanguageDetector) -> None:
    head = (GERMAN * 99)[:READ_CHARACTERS]
    assert detector.rank(head + FRENCH * 99) == detector.rank(head)
    assert detector.rank("1|" * READ_CHARACTERS + head) == detector.rank(head), "it begins with its first letter"


def test_of_languages_as_likely_english_comes_first(detector: LanguageDetector) -> None:
    ranking = detector.rank("no")
    assert ranking[0].confidence == ranking[1].confidence
    assert ranking[0].language == "en"


async def test_of_languages_as_likely_one_is_taken_that_is_not_wanted(service: Service) -> None:
    async with service() as client:
        for target, source in (("de", "en"), ("en", "de")):
            body = (await client.post("/translate", json={"q": "no", "source": "auto", "target": target})).json()
            assert body["detectedLanguage"]["language"] == source


async def test_nothing_is_loaded_for_a_text_that_says_nothing() -> None:
    detector = LanguageDetector(["en", "de"])
    assert await detector.rank_each(["7", "😀"]) == [[Detected("en", 0)]] * 2
    assert "_identifier" not in vars(detector)


async def test_auto_answers_with_the_language_found(service: Service) -> None:
    async with service() as client:
        response = await client.post("/translate", json={"q": GERMAN, "source": "auto", "target": "en"})
    body = response.json()
    assert body["translatedText"] == "<en>" + GERMAN
    assert set(body["detectedLanguage"]) == {"confidence", "language"}
    assert body["detectedLanguage"]["language"] == "de"
    assert isinstance(body["detectedLanguage"]["confidence"], int), "a client died of 95.0"


async def test_every_item_of_an_array_has_its_own_language(service: Service, translator: FakeTranslator) -> None:
    q = [GERMAN, ENGLISH, "", FRENCH, "😀"]
    async with service() as client:
        response = await client.post("/translate", json={"q": q, "source": " AUTO ", "target": "en"})
    body = response.json()
    assert body["translatedText"] == ["<en>" + GERMAN, ENGLISH, "", "<en>" + FRENCH, "😀"]
    assert [found["language"] for found in body["detectedLanguage"]] == ["de", "en", "en", "fr", "en"]
    assert body["detectedLanguage"][2]["confidence"] == 0
    assert translator.batches == [[GERMAN, FRENCH]]


async def test_auto_refuses_a_direction_that_there_is_not(service: Service) -> None:
    async with service() as client:  # French is served, but into English alone
        response = await client.post("/translate", json={"q": FRENCH, "source": "auto", "target": "de"})
    sentence = "German (de) is not available as a target language from French (fr)"
    assert (response.status_code, response.json()) == (400, {"error": sentence})


async def test_what_says_nothing_is_left_as_it_is(service: Service, translator: FakeTranslator) -> None:
    async with service() as client:
        response = await client.post("/translate", json={"q": "12:30", "source": "auto", "target": "de"})
    assert response.json() == {"translatedText": "12:30", "detectedLanguage": {"confidence": 0, "language": "en"}}
    assert translator.batches == []


async def test_without_auto_nothing_is_detected(service: Service) -> None:
    async with service() as client:
        response = await client.post("/translate", json={"q": GERMAN, "source": "en", "target": "de"})
    assert response.json() == {"translatedText": "<de>" + GERMAN}


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"json": {"q": GERMAN}}, id="JSON"),
        pytest.param({"data": {"q": GERMAN, "api_key": ""}}, id="form"),
        pytest.param({"params": {"q": GERMAN}}, id="query string"),
    ],
)
async def test_detect_ranks_the_languages(service: Service, parts: dict[str, Any]) -> None:
    async with service() as client:
        ranking = (await client.post("/detect", **parts)).json()
    assert ranking[0]["language"] == "de"
    assert len(ranking) == 3


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param({}, "Invalid request: missing q parameter", id="nothing"),
        pytest.param({"q": ""}, "Invalid request: missing q parameter", id="an empty text"),
        pytest.param({"q": ["a"]}, "Invalid request: q parameter is not a string", id="an array"),
        pytest.param({"q": "a" * 61}, "Invalid request: request (61) exceeds text limit (60)", id="too long"),
    ],
)
async def test_detect_says_what_is_wrong(service: Service, body: object, sentence: str) -> None:
    async with service(max_text_characters=60) as client:
        response = await client.post("/detect", json=body)
    assert (response.status_code, response.json()) == (400, {"error": sentence})
