"""Frozen records from TOML tables: every key known, none missing, every value of the kind its field asks for."""

import difflib
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from math import inf
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from translator.errors import ConfigError

Record = TypeVar("Record")

WANTED = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}


def build(kind: type[Record], table: dict[str, Any], *, folder: Path, where: str = "", whole: Any = None) -> Record:
    """Makes a record from a TOML table.

    Args:
        kind: A dataclass whose fields are int, float, str, bool, Path, a Literal, another such dataclass, a tuple of
            one of these, or one of these or None, which a table says by leaving the key out.
        table: As `tomllib` reads it.
        folder: Where relative paths count from.
        where: The table's name in messages, with a dot at its end.
        whole: The record of the whole file, for which a key that stands in the wrong table is looked up; None is
            `kind`.

    Raises:
        ConfigError: An unknown, missing or ill-typed key.
    """
    known: dict[str, Any] = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    hints, whole = get_type_hints(kind), whole or kind
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0)
            meant = [place for place in _places(whole) if place.rpartition(".")[2] == key] or [where + near[0]]
            raise ConfigError(f"Unknown key {where + key!r}; did you mean {meant[0]!r}? Known: {', '.join(known)}.")
    for name, entry in known.items():
        if name not in table and entry.default is MISSING and entry.default_factory is MISSING:
            raise ConfigError(f"The key {where + name!r} is missing; add it to the config file.")
    return kind(**{key: _convert(hints[key], value, where + key, folder, whole) for key, value in table.items()})


def _places(kind: Any, where: str = "") -> Iterator[str]:
    """Yields every key that the tables of a record know, with the tables' names before it."""
    hints = get_type_hints(kind)
    for entry in fields(kind):
        yield where + entry.name
        inner = [hints[entry.name], *get_args(hints[entry.name])]
        for table in filter(is_dataclass, inner):
            yield from _places(table, f"{where}{entry.name}.")


def check_range(record: object, *names: str, least: float, below: float = inf, most: float = inf) -> None:
    """Refuses a record with a field of these `names` under `least`, at `below` or over `most`.

    Raises:
        ConfigError: It says which, and what is allowed.
    """
    for name in names:
        value = getattr(record, name)
        if not (least <= value < below and value <= most) or value == inf:
            limit = "" if below == inf else f" and below {below}"
            limit = limit if most == inf else f" and at most {most}"
            raise ConfigError(f"{name} is {value}, wanted at least {least}{limit}.")


def _convert(hint: Any, value: Any, where: str, folder: Path, whole: Any) -> Any:
    """Turns one TOML value into what the record's type hint asks for."""
    if get_origin(hint) is UnionType:
        [hint] = [kind for kind in get_args(hint) if kind is not NoneType]
    if is_dataclass(hint):
        _check(isinstance(value, dict), where, value, "a table")
        return build(hint, value, folder=folder, where=where + ".", whole=whole)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        _check(isinstance(value, list), where, value, "an array")
        inner = get_args(hint)[0]
        return tuple(_convert(inner, item, f"{where}[{n}]", folder, whole) for n, item in enumerate(value))
    if get_origin(hint) is Literal:
        _check(value in get_args(hint), where, value, " or ".join(repr(choice) for choice in get_args(hint)))
        return value
    if hint is Path:
        _check(isinstance(value, str), where, value, "a path in quotes")
        return _path(value, where, folder)
    if hint is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    _check(type(value) is hint, where, value, WANTED[hint])  # a bool is an int to Python, not to a person
    return value


def _path(value: str, where: str, folder: Path) -> Path:
    try:
        return folder / Path(value).expanduser()
    except RuntimeError:
        raise ConfigError(f"{where} is {value!r}, but there is no such user's home; write the path out.") from None


def _check(condition: bool, where: str, value: Any, wanted: str) -> None:
    if not condition:
        raise ConfigError(f"{where} is {value!r}, wanted {wanted}.")
