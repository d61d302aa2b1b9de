"""The settings come from the environment, and a bad one is a sentence."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.app import open_models
from api.languages import Languages
from api.server import curl_line, reachable
from api.settings import Settings, load_settings
from translator.errors import ConfigError
from translator.model_pool import ModelPool

ROOT = Path(__file__).parents[2]


def test_the_environment_is_read_and_an_override_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAROUSEL_HOST", "0.0.0.0")
    monkeypatch.setenv("CAROUSEL_PORT", "9000")
    monkeypatch.setenv("CAROUSEL_THREADS", "")
    settings = load_settings(port=9001, model=None)
    assert (settings.host, settings.port, settings.model, settings.threads) == ("0.0.0.0", 9001, None, None)


def test_models_are_opened_as_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(ModelPool, "find", lambda *args, **options: opened.append((args, options)))
    open_models(Settings(model="mine", threads=2, compute_type="float32", model_idle_seconds=9))
    assert opened == [(("mine",), {"threads": 2, "compute_type": "float32", "idle_seconds": 9})]


@pytest.mark.parametrize(
    ("written", "origins"),
    [
        pytest.param("*", ("*",), id="all"),
        pytest.param("none", (), id="none"),
        pytest.param("http://a.test, http://b.test", ("http://a.test", "http://b.test"), id="two"),
    ],
)
def test_origins_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch, written: str, origins: tuple[str, ...]) -> None:
    monkeypatch.setenv("CAROUSEL_CORS_ORIGINS", written)
    assert load_settings().cors_origins == origins


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        pytest.param("PORT", "http", r"CAROUSEL_PORT \(port\) is 'http': input should be a valid integer", id="word"),
        pytest.param("PORT", "70000", r"CAROUSEL_PORT \(port\) is '70000': .* less than or equal to 65535", id="port"),
        pytest.param("QUEUE_CHARACTERS", "0", "CAROUSEL_QUEUE_CHARACTERS .* greater than or equal to 1", id="no room"),
        pytest.param("LOG_LEVEL", "loud", "CAROUSEL_LOG_LEVEL .* 'debug', 'info'", id="unknown level"),
    ],
)
def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str) -> None:
    monkeypatch.setenv(f"CAROUSEL_{name}", value)
    with pytest.raises(ConfigError, match=sentence):
        load_settings()


def test_an_unknown_override_names_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="prot is not a setting of the service; did you mean port"):
        load_settings(prot=1)
    with pytest.raises(ConfigError, match="zzz is not a setting of the service; there are host, port, "):
        load_settings(zzz=1)


def test_a_file_stands_below_the_environment_and_that_below_an_override(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "carousel.toml"
    file.write_text('host = "0.0.0.0"\nport = 1\nbatch_size = 1\ncors_origins = ["http://a.test"]\n', encoding="utf-8")
    monkeypatch.setenv("CAROUSEL_PORT", "2")
    monkeypatch.setenv("CAROUSEL_BATCH_SIZE", "2")
    monkeypatch.setenv("CAROUSEL_HOST", "")
    found = load_settings(file, batch_size=3)
    assert (found.host, found.port, found.batch_size) == ("0.0.0.0", 2, 3)
    assert found.cors_origins == ("http://a.test",)
    monkeypatch.setenv("CAROUSEL_SETTINGS", str(file))
    assert load_settings().host == "0.0.0.0"


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        pytest.param("prot = 1\n", r"^prot in .*toml is not a setting of the service; did you mean port\?$", id="name"),
        pytest.param("port = 'x'\n", r"^port in .*carousel.toml is 'x': input should be a valid integer", id="value"),
        pytest.param("port 1\n", r"^The settings file .*carousel.toml cannot be read: ", id="no TOML"),
        pytest.param(None, r"^The settings file .*carousel.toml cannot be read: .*No such file", id="no file"),
    ],
)
def test_a_settings_file_that_is_wrong_is_named(tmp_path: Path, written: str | None, sentence: str) -> None:
    file = tmp_path / "carousel.toml"
    if written is not None:
        file.write_text(written, encoding="utf-8")
    with pytest.raises(ConfigError, match=sentence):
        load_settings(file)


def test_the_documentation_lists_every_setting_with_its_default() -> None:
    rows = dict(
        re.findall(
            r"^\| `CAROUSEL_(\w+)` \| ([^|]*) \|",
            (ROOT / "docs/rest.md").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    assert list(rows) == [name.upper() for name in Settings.model_fields]
    for name, field in Settings.model_fields.items():
        default = "*" if name == "cors_origins" else "" if field.default is None else f"{field.default}"
        assert rows[name.upper()].strip("`").replace(",", "").lower() == default.lower()


def test_importing_the_application_loads_neither_torch_nor_a_server() -> None:
    check = "import sys, api.app; sys.exit(bool({'torch', 'uvicorn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("listening", "typed"),
    [
        pytest.param("127.0.0.1", "127.0.0.1", id="this machine"),
        pytest.param("0.0.0.0", "127.0.0.1", id="every network"),
        pytest.param("::", "[::1]", id="every IPv6 network"),
        pytest.param("carousel.test", "carousel.test", id="a name"),
    ],
)
def test_the_address_shown_can_be_typed(listening: str, typed: str) -> None:
    assert reachable(listening) == typed


@pytest.mark.parametrize(
    ("directions", "body"),
    [
        pytest.param(
            [("de", "en"), ("en", "de")],
            '{"q":"How much does this cost?","source":"en","target":"de"}',
            id="English to German if it can",
        ),
        pytest.param([("fr", "en")], '{"q":"Hello.","source":"fr","target":"en"}', id="else what it can"),
    ],
)
def test_the_command_shown_is_one_the_model_can_answer(directions: list[tuple[str, str]], body: str) -> None:
    line = curl_line("http://h:1", Languages(["de", "en", "fr"], directions))
    assert line == f"curl -d '{body}' -H 'Content-Type: application/json' http://h:1/translate"
