"""Clients that people have, unchanged, against a server that listens: LibreTranslate's and DeepL's for Python."""

import urllib.error
from collections.abc import Iterator

import deepl
import pytest
from deepl.api_data import ModelType
from libretranslatepy import LibreTranslateAPI

from tests.api.fakes import FakeTranslator
from tests.api.live import listening

GERMAN = "Wo ist hier der Bahnhof?"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the service answers, with a translator that puts the target's code before a text."""
    with listening(FakeTranslator({"boom": RuntimeError("broken on purpose")})) as found:
        yield found


@pytest.fixture(scope="module")
def libretranslate(address: str) -> LibreTranslateAPI:
    return LibreTranslateAPI(address, api_key="any")


@pytest.fixture
def client(address: str, monkeypatch: pytest.MonkeyPatch) -> deepl.DeepLClient:
    monkeypatch.setattr(deepl.http_client, "max_network_retries", 0)  # a test waits for no second attempt
    return deepl.DeepLClient("any-key", server_url=address + "/", send_platform_info=False)


def test_libretranslatepy_translates(libretranslate: LibreTranslateAPI) -> None:
    assert libretranslate.translate("Grüße & Küsse\n=1?", "de", "en") == "<en>Grüße & Küsse\n=1?"
    assert libretranslate.translate(GERMAN, "auto", "en") == "<en>" + GERMAN


def test_libretranslatepy_detects(libretranslate: LibreTranslateAPI) -> None:
    assert libretranslate.detect(GERMAN)[0]["language"] == "de"


@pytest.mark.parametrize("key", [None, "any"])
def test_libretranslatepy_lists_languages(address: str, key: str | None) -> None:
    listed = LibreTranslateAPI(address + "/", api_key=key).languages()
    assert {"code": "en", "name": "English", "targets": ["de", "en"]} in listed


def test_libretranslatepy_sees_an_error_as_one(libretranslate: LibreTranslateAPI) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        libretranslate.translate("a", "en", "zz")


def test_deepl_translates_one_text(client: deepl.DeepLClient) -> None:
    found = client.translate_text("Hello", source_lang="EN", target_lang="DE")
    assert isinstance(found, deepl.TextResult)
    assert (found.text, found.detected_source_lang, found.billed_characters) == ("<de>Hello", "EN", 5)


def test_deepl_translates_several(client: deepl.DeepLClient) -> None:
    found = client.translate_text(
        [GERMAN, "Guten Morgen!"],
        target_lang="EN-US",
        context="Two sentences.",
        split_sentences=deepl.SplitSentences.NO_NEWLINES,
        preserve_formatting=True,
        formality=deepl.Formality.PREFER_LESS,
        model_type=ModelType.PREFER_QUALITY_OPTIMIZED,
    )
    assert isinstance(found, list)
    assert [each.text for each in found] == ["<en>" + GERMAN, "<en>Guten Morgen!"]
    assert {each.detected_source_lang for each in found} == {"DE"}


def test_deepl_translates_html(client: deepl.DeepLClient) -> None:
    found = client.translate_text("<b>Hi</b>", source_lang="EN", target_lang="DE", tag_handling="html")
    assert isinstance(found, deepl.TextResult)
    assert found.text == "<b>&lt;de&gt;Hi</b>"


def test_deepl_lists_languages(client: deepl.DeepLClient) -> None:
    assert {language.code for language in client.get_source_languages()} == {"DE", "EN", "FR"}
    assert {language.code for language in client.get_target_languages()} == {"DE", "EN-GB", "EN-US"}
    assert client.get_glossary_languages() == []


def test_deepl_reads_the_usage(client: deepl.DeepLClient) -> None:
    usage = client.get_usage()
    assert usage.character.valid and not usage.any_limit_reached


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"target_lang": "ZZ"}, "Value for 'target_lang' not supported: ZZ", id="unknown language"),
        pytest.param({"target_lang": "DE", "tag_handling": "xml"}, "'tag_handling' not supported", id="markup"),
        pytest.param({"target_lang": "DE", "formality": "more"}, "'formality' is not supported", id="formality"),
    ],
)
def test_deepl_raises_what_the_server_says(client: deepl.DeepLClient, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(deepl.DeepLException, match=message):
        client.translate_text("a", source_lang="EN", **arguments)  # type: ignore[arg-type]


def test_deepl_hears_of_a_fault(client: deepl.DeepLClient) -> None:
    with pytest.raises(deepl.DeepLException, match="500"):
        client.translate_text("boom", source_lang="EN", target_lang="DE")
