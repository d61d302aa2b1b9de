"""What may be asked for besides the text: alternatives, alignment, scores, signature."""

import asyncio
from dataclasses import asdict

import pytest

from api.answers import Answer, alternatives
from tests.api.conftest import Service
from tests.api.fakes import FakeManifest, FakeTranslator
from translator.alignment import AlignedWords
from translator.config import DecodingOptions
from translator.translation import SentenceScore, TokenScore, Translation

pytestmark = pytest.mark.anyio

HELLO = {"q": "Hello", "source": "en", "target": "de"}
LINK = AlignedWords(0, 5, 0, 5, 0.75)
FULL = Translation(
    "Hallo",
    "en",
    "de",
    "Hello",
    score=-0.5,
    sentences=(SentenceScore(0, 5, 0, 5, -0.5, None, 0.9),),
    tokens=(TokenScore("Hallo", 0, 5, -0.25), TokenScore("", 5, 5, -0.125)),
    alignment=(LINK,),
    alternatives=("hallo!", "Guten Tag", "Guten Tag.", "...", "Servus"),
    warnings=("A warning.",),
)
LINKS = [{"sourceStart": 0, "sourceEnd": 5, "targetStart": 0, "targetEnd": 5, "weight": 0.75}]
SCORES = {
    "score": -0.5,
    "confidence": 0.9,
    "sentences": [
        {"sourceStart": 0, "sourceEnd": 5, "targetStart": 0, "targetEnd": 5, "score": -0.5, "confidence": 0.9}
    ],
    "tokens": [
        {"text": "Hallo", "start": 0, "end": 5, "logProb": -0.25},
        {"text": "", "start": 5, "end": 5, "logProb": -0.125},
    ],
    "warnings": ["A warning."],
}


@pytest.fixture
def translator() -> FakeTranslator:
    return FakeTranslator(answers={"Hello": FULL})


def test_alternatives_differ_in_more_than_marks_and_capitals() -> None:
    assert alternatives(Answer("Hallo", FULL), 4) == ["Guten Tag", "Servus"]
    assert alternatives(Answer("Hallo", FULL), 1) == ["Guten Tag"]
    assert alternatives(Answer("Hallo"), 4) == [], "a text that no model saw has none"


@pytest.mark.parametrize(
    ("text", "other"),
    [("Es sind 1.5", "Es sind 15"), ("-5", "5"), ("Maße", "Masse"), ("क", "कि")],
)
def test_marks_within_words_count(text: str, other: str) -> None:
    found = Translation(text, "en", "de", "x", alternatives=(other,))
    assert alternatives(Answer(text, found), 1) == [other]


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"alternatives": 3}, {"alternatives": ["Guten Tag", "Servus"]}, id="alternatives"),
        pytest.param({"alternatives": "1"}, {"alternatives": ["Guten Tag"]}, id="a number as a string"),
        pytest.param({"alternatives": -1}, {}, id="fewer than none"),
        pytest.param({"alignment": True}, {"alignment": LINKS}, id="alignment"),
        pytest.param({"scores": "true"}, {"scores": SCORES}, id="scores"),
        pytest.param({"scores": False, "alignment": 0, "signature": ""}, {}, id="asked not to"),
    ],
)
async def test_only_what_was_asked_for_is_answered(
    service: Service, asked: dict[str, object], more: dict[str, object]
) -> None:
    async with service() as client:
        for parts in ({"json": {**HELLO, **asked}}, {"data": {**HELLO, **asked}}):
            response = await client.post("/translate", **parts)  # type: ignore[arg-type]
            assert response.json() == {"translatedText": "Hallo", **more}


async def test_arrays_are_answered_by_arrays(service: Service) -> None:
    async with service() as client:
        asked = {**HELLO, "q": ["", "Hello"], "alternatives": 1, "alignment": True, "scores": True}
        body = (await client.post("/translate", json=asked)).json()
    nothing: dict[str, object] = {"score": 0.0, "confidence": None, "sentences": [], "tokens": [], "warnings": []}
    assert body == {
        "translatedText": ["", "Hallo"],
        "alternatives": [[], ["Guten Tag"]],
        "alignment": [[], LINKS],
        "scores": [nothing, SCORES],
    }


async def test_the_signature_names_model_and_search(service: Service, translator: FakeTranslator) -> None:
    async with service(beam_size=2) as client:
        body = (await client.post("/translate", json={**HELLO, "signature": True, "alternatives": 1})).json()
    options = asdict(DecodingOptions(beam_size=2))
    del options["n_best"]  # the request says how many
    assert body["signature"] == [
        {
            "model": translator.manifest.name,
            "weights": translator.manifest.weights_sha256,
            "tokenizer": translator.manifest.tokenizer_sha256,
            "decoding": options,
        }
    ]


async def test_the_signature_names_each_model_that_had_a_part_once(
    service: Service, translator: FakeTranslator
) -> None:
    one, other = FakeManifest(name="one"), FakeManifest(name="other")
    translator.model_of = {("en", "de"): [one], ("fr", "en"): [other, one]}
    for source, target, text, names in (
        ("en", "de", "Hello", ["one"]),
        ("fr", "en", "Bonjour", ["other", "one"]),
        ("en", "de", " ", []),
        ("en", "en", "Hello", []),
    ):
        async with service() as client:
            wish = {"q": [text, text], "source": source, "target": target, "signature": True}
            body = (await client.post("/translate", json=wish)).json()
        assert [each["model"] for each in body["signature"]] == names


async def test_alternatives_never_change_the_search(service: Service, translator: FakeTranslator) -> None:
    async with service(max_alternatives=9) as client:
        for wanted in (0, 2, 9):
            await client.post("/translate", json={**HELLO, "alternatives": wanted})
    whole_beam = DecodingOptions().beam_size
    assert translator.options == [DecodingOptions(n_best=whole_beam)], "one search for all"
    assert translator.n_best == [1, None, None], "all that the session was made for"


async def test_a_neighbour_without_alternatives_gets_none(service: Service, translator: FakeTranslator) -> None:
    async with service() as client:
        translator.hold()
        both = asyncio.gather(
            client.post("/translate", json=HELLO), client.post("/translate", json={**HELLO, "alternatives": 1})
        )
        while len(translator.batches) < 2:
            await asyncio.sleep(0.002)
        translator.release()
        plain, rich = await both
    assert plain.json() == {"translatedText": "Hallo"}
    assert rich.json() == {"translatedText": "Hallo", "alternatives": ["Guten Tag"]}
    assert translator.together == [["Hello", "Hello"]]
