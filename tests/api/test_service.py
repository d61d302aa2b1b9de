"""The routes beside /translate, the pages, and what every answer has in common."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import api
from api.app import create_app
from api.languages import Languages
from api.settings import Settings
from tests.api.conftest import Service
from translator.errors import CheckpointError

pytestmark = pytest.mark.anyio

PAGE = Path(api.__file__).parent / "page"


async def test_languages_have_codes_names_and_targets_with_themselves(service: Service) -> None:
    async with service() as client:
        response = await client.get("/languages")
    assert response.json() == [
        {"code": "de", "name": "German", "targets": ["de", "en"]},
        {"code": "en", "name": "English", "targets": ["de", "en"]},
        {"code": "fr", "name": "French", "targets": ["en", "fr"]},
    ]


@pytest.mark.parametrize(
    ("header", "names"),
    [
        pytest.param("de-CH,de;q=0.9,en;q=0.8", ["Deutsch", "Englisch", "Französisch"], id="a browser in Switzerland"),
        pytest.param("en;q=0.1, fr;q=0.9", ["Allemand", "Anglais", "Français"], id="the weights decide"),
        pytest.param("de; q=0.1, fr; q=0.9", ["Allemand", "Anglais", "Français"], id="with spaces"),
        pytest.param("de;q=0, fr;q=0.5", ["Allemand", "Anglais", "Français"], id="one that is not wanted"),
        pytest.param("xx, aa, *;q=0.5", ["German", "English", "French"], id="no language that has names"),
        pytest.param(";q=,,de;q=x" + ",fr" * 9000, ["Allemand", "Anglais", "Français"], id="a broken header"),
    ],
)
async def test_languages_are_named_in_the_readers_language(service: Service, header: str, names: list[str]) -> None:
    async with service() as client:
        response = await client.get("/languages", headers={"Accept-Language": header})
    assert [language["name"] for language in response.json()] == names


async def test_what_upstreams_page_asks_first(service: Service) -> None:
    async with service(max_text_characters=77) as client:
        settings = (await client.get("/frontend/settings")).json()
    assert settings == {
        "apiKeys": False,
        "charLimit": 77,
        "filesTranslation": False,
        "frontendTimeout": 500,
        "keyRequired": False,
        "language": {"source": {"code": "auto", "name": "Auto Detect"}, "target": {"code": "de", "name": "German"}},
        "suggestions": False,
        "supportedFilesFormat": [],
    }


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        pytest.param("/suggest", "Suggestions are disabled on this server.", id="suggestions"),
        pytest.param("/translate_file", "Files translation are disabled on this server.", id="files"),
    ],
)
async def test_what_is_not_offered_is_refused_as_upstream_does(service: Service, path: str, sentence: str) -> None:
    async with service() as client:
        response = await client.post(path, data={"q": "a", "s": "b", "source": "en", "target": "de"})
    assert (response.status_code, response.json()) == (403, {"error": sentence})


async def test_the_description_is_also_where_upstream_has_it(service: Service) -> None:
    async with service() as client:
        assert (await client.get("/spec")).json() == (await client.get("/openapi.json")).json()


async def test_languages_may_be_asked_with_a_body(service: Service) -> None:
    async with service() as client:  # as libretranslatepy does
        response = await client.request("GET", "/languages", data={"api_key": "x"})
    assert response.status_code == 200


async def test_health(service: Service) -> None:
    async with service() as client:
        assert (await client.get("/health")).json() == {"status": "ok"}


@pytest.mark.parametrize(
    "path", ["/", "/health", "/languages", "/docs", "/openapi.json", "/metrics", "/nowhere", "/translate"]
)
async def test_head_is_answered_as_get_is_without_the_body(service: Service, path: str) -> None:
    async with service() as client:
        asked, got = await client.head(path), await client.get(path)
    assert (asked.status_code, asked.content) == (got.status_code, b"")
    assert asked.headers["Content-Type"] == got.headers["Content-Type"]
    if path != "/metrics":  # which counts these two
        assert asked.headers["Content-Length"] == got.headers["Content-Length"]


async def test_an_application_whose_model_cannot_be_loaded_does_not_start(tmp_path: Path) -> None:
    app = create_app(Settings(model=tmp_path / "nothing"))
    with pytest.raises(CheckpointError, match="nothing"):
        async with app.router.lifespan_context(app):
            pytest.fail("started without a model")


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        pytest.param("GET", "/nowhere", 404, "/nowhere is not served here; /docs lists what is", id="unknown path"),
        pytest.param("GET", "/page/secret.py", 404, "/page/secret.py is not served here", id="no such asset"),
        pytest.param("POST", "/translate/", 404, "/translate/ is not served here", id="a slash behind"),
        pytest.param("OPTIONS", "/nowhere", 404, "/nowhere is not served here", id="options of nothing"),
        pytest.param("GET", "/translate", 405, "GET is not allowed for /translate", id="GET /translate"),
        pytest.param("DELETE", "/languages", 405, "DELETE is not allowed for /languages", id="DELETE /languages"),
    ],
)
async def test_unknown_paths_and_methods_have_an_error_body(
    service: Service, method: str, path: str, status: int, sentence: str
) -> None:
    async with service() as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert response.json()["error"].startswith(sentence)


async def test_a_preflight_is_answered(service: Service) -> None:
    headers = {
        "Origin": "http://elsewhere.test",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    async with service() as client:
        response = await client.options("/translate", headers=headers)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Max-Age"] == "1728000"


async def test_other_origins_can_be_shut_out(service: Service) -> None:
    origin = {"Origin": "http://elsewhere.test"}
    async with service(cors_origins="none") as client:
        response = await client.get("/languages", headers=origin)
        preflight = await client.options("/translate", headers={**origin, "Access-Control-Request-Method": "POST"})
    assert "Access-Control-Allow-Origin" not in response.headers
    assert (preflight.status_code, preflight.json()) == (400, {"error": "Disallowed CORS origin"})


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/translate", "POST"), ("/languages", "GET, HEAD"), ("/health", "GET, HEAD"), ("/", "GET, HEAD")],
)
async def test_plain_options_are_answered(service: Service, path: str, allowed: str) -> None:
    async with service() as client:
        response = await client.options(path, headers={"Origin": "http://elsewhere.test"})
    assert (response.status_code, response.headers["Allow"], response.content) == (200, allowed, b"")
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_openapi_documents_bodies_and_errors(service: Service) -> None:
    async with service() as client:
        description = (await client.get("/openapi.json")).json()
    translate = description["paths"]["/translate"]["post"]
    assert set(translate["requestBody"]["content"]) == {
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    }
    assert set(translate["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert set(translate["responses"]) == {"200", "400", "403", "413", "429", "500", "503", "504"}
    for status in ("400", "413", "500", "503", "504"):
        schema = translate["responses"][status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErrorResponse"}
    assert set(description["paths"]) == {
        "/translate", "/detect", "/languages", "/frontend/settings", "/suggest", "/translate_file",
        "/health", "/ready", "/metrics",
        "/v2/translate", "/v2/languages", "/v2/usage", "/v2/glossary-language-pairs",
    }  # fmt: skip


@pytest.mark.parametrize("path", [pytest.param("/", id="the page"), pytest.param("/docs", id="the reference")])
async def test_pages_and_all_they_load_come_from_here(service: Service, path: str) -> None:
    async with service() as client:
        page = await client.get(path)
        assert page.headers["Content-Type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        for link in links(page.text):
            assert not re.match(r"[a-z]+:|//", link), f"{link} is another host"
            assert (await client.get(f"/{link.removeprefix('./')}")).status_code == 200


async def test_scripts_are_served_as_modules_must_be(service: Service) -> None:
    async with service() as client:
        response = await client.get("/page/page.js")
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("name", ["index.html", "docs.html", "page.js", "words.js", "docs.js", "style.css"])
def test_no_page_file_names_another_host(name: str) -> None:
    assert not re.search(r"https?://|//[a-z]+\.", (PAGE / name).read_text(encoding="utf-8").replace('"http"', ""))


def test_the_script_finds_every_element_and_every_control_has_a_name() -> None:
    page, script = ((PAGE / name).read_text(encoding="utf-8") for name in ("index.html", "page.js"))
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    listed = re.search(r"= \[\n(.*?)\n\]\.map\(element\)", script, re.DOTALL)
    assert listed is not None
    wanted = set(re.findall(r'"([^"]+)"', listed[1])) | set(re.findall(r'element\("([^"]+)"\)', script))
    assert wanted <= ids
    labelled = set(re.findall(r'<label[^>]* for="([^"]+)"', page))
    assert labelled == set(re.findall(r'<(?:select|textarea)[^>]* id="([^"]+)"', page))


def links(page: str) -> list[str]:
    """The addresses that a page refers to."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.extend(value for name, value in attributes if name in ("href", "src") and value)

    Reader().feed(page)
    return [link for link in found if link not in ("./",)]


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        pytest.param("pb", "pt-BR", id="an old code"),
        pytest.param("pt-br", "pt-BR", id="the code in small letters"),
        pytest.param("ZH-Hans", "zh", id="a new code for a model with the old one"),
    ],
)
def test_upstreams_old_and_new_codes_mean_the_same(asked: str, known: str) -> None:
    assert Languages([known, "en"], [(known, "en")]).resolve(asked) == known
