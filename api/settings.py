"""Where and how the service runs. Every field is read from the environment: CAROUSEL_PORT sets `port`.

They may also stand in a TOML file, by their names, which CAROUSEL_SETTINGS or `carousel serve --settings` names.

No settings object is made at import: the factory in `api.app` receives one.
"""

import os
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from translator.errors import ConfigError

PREFIX = "CAROUSEL_"
FILE_VARIABLE = PREFIX + "SETTINGS"


class Settings(BaseSettings):
    """The service's settings; each description says meaning, unit and off value."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 is every network.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    model: str | Path | None = Field(
        default=None,
        description="Checkpoint folder, a folder of such, a name, or all built-in models; unset is the default model.",
    )
    model_idle_seconds: float = Field(
        default=600, gt=0, description="How long one of several models stays loaded that nobody needs."
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Who translates: 1 is a thread beside the web server, more are processes that share the weights.",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Processor threads of a worker; unset is all cores, or what OMP_NUM_THREADS says, or of several "
        "workers each its share.",
    )
    compute_type: Literal["auto", "int8", "bfloat16", "float32"] = Field(
        default="auto", description="Arithmetic of decoding; auto is the quickest that the processor has."
    )
    beam_size: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Hypotheses kept a step; 1 is greedy search, unset what the model recommends.",
    )

    max_text_characters: int = Field(default=200_000, ge=1, description="Longest text taken; a longer one is a 400.")
    max_texts: int = Field(default=256, ge=1, description="Most texts in one request; more are a 400.")
    max_alternatives: int = Field(
        default=4, ge=0, le=99, description="Most further translations of a text; 0 serves none."
    )
    # 200,000 characters outside the basic plane take 2.4 MB percent-encoded, or as JSON escapes.
    max_body_bytes: int = Field(
        default=2_621_440, ge=1, description="Largest request body read; a larger one is a 413."
    )

    queue_characters: int = Field(
        default=500_000,
        ge=1,
        description="Characters that may be in flight; past it a request is a 503 with Retry-After.",
    )
    deadline_seconds: float = Field(
        default=120, gt=0, description="Time a request may take, waiting included; then it is a 504."
    )
    batch_size: int = Field(
        default=64, ge=1, description="Most sentences searched together; some more for a while when requests come."
    )
    shutdown_seconds: int = Field(
        default=25, ge=1, description="Time that SIGTERM leaves to what is in flight before it is cancelled."
    )

    keys: str | None = Field(
        default=None,
        description="Database of API keys, such as sqlite:///keys.db (`carousel keys`); unset knows no keys.",
    )
    key_required: bool = Field(
        default=True, description="Where there are keys: refuse who has none. False only gives keys their own limits."
    )
    rate_limit: str | None = Field(
        default=None,
        description="Requests that an address or a key may make, such as 60/minute; past it a request is a 429.",
    )
    rate_limit_storage: str = Field(
        default="memory://", description="Where requests are counted; redis://host:6379 for several processes."
    )

    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("*",),
        description="Web pages that may call the service, by comma; * is all, none is no other.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    access_log: bool = Field(
        default=False, description="Log a line a request: method, route, status, time, id; no text."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="A line for a person, or a JSON object a line."
    )

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(origin for part in value.split(",") if (origin := part.strip()) and origin != "none")


def load_settings(file: Path | None = None, **overrides: object) -> Settings:
    """Reads a settings file and the environment, which wins; an override that is not None wins over both.

    Args:
        file: TOML, with the names of `Settings`; None is what CAROUSEL_SETTINGS names, if it is set.
        **overrides: Fields of `Settings`, by name, as a command line has them.

    Returns:
        The settings.

    Raises:
        ConfigError: A value cannot be used, or the file cannot be read; the sentence names the setting.
    """
    if file is None and (named := os.environ.get(FILE_VARIABLE)):
        file = Path(named)
    given = {name: value for name, value in overrides.items() if value is not None}
    _refuse_unknown(given, "")
    environment = {variable.upper() for variable, value in os.environ.items() if value}
    written = _read(file) if file else {}
    from_file = {name: value for name, value in written.items() if PREFIX + name.upper() not in environment}
    from_file = {name: value for name, value in from_file.items() if name not in given}
    try:
        return Settings.model_validate(from_file | given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        reason = first["msg"][:1].lower() + first["msg"][1:]
        place = f"{name} in {file}" if name in from_file else f"{PREFIX}{name.upper()} ({name})"
        raise ConfigError(f"{place} is {first['input']!r}: {reason}.") from None


def _read(file: Path) -> dict[str, object]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The settings file {file} cannot be read: {error}.") from None
    _refuse_unknown(table, f" in {file}")
    return table


def _refuse_unknown(names: Iterable[str], place: str) -> None:
    for name in sorted(set(names) - Settings.model_fields.keys()):
        near = get_close_matches(name, Settings.model_fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(Settings.model_fields)}."
        raise ConfigError(f"{name}{place} is not a setting of the service; {hint}")
