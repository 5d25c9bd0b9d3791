"""The layers a configuration is laid from: a file without secrets, and the environment over it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from auditor.config.validation_errors import lower
from auditor.core.errors import ConfigError

PREFIX = "AUDITOR_"
SECRET = re.compile(r"(?:^|_)(?:key|token|secret|password|bearer)$")
URL_WITH_PASSWORD = re.compile(r"://[^/@\s:]*:[^/@\s]+@")
SERVICE = ("notify", "recipients", "to")
"""Where the URL of a chat or another service stands: who reads it may write there."""

Place = tuple[str, ...]


def read(path: Path) -> dict[str, Any]:
    """The tables of a file. Raises ConfigError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(str(path), f"not TOML, {lower(str(problem))}", "mend that line") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "not UTF-8 text", "save it as UTF-8") from None
    except OSError as problem:
        raise ConfigError(
            str(path), lower(problem.strerror or str(problem)), "mend its permissions"
        ) from None


def secret_in(path: str | Path) -> str:
    """The secret that a file holds. Raises ValueError, which a model reports with its place."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise ValueError(f"the secret's file {path} cannot be read ({problem.strerror})") from None


def refuse_secrets(table: Mapping[str, Any], origin: str) -> None:
    """Raise ConfigError where a secret stands in the file: it would be copied, shown and committed."""
    for place, value in _leaves(table):
        if _is_secret(place, value):
            variable = PREFIX + "__".join(place).upper()
            remedy = f"set {variable} in the environment, or name a file that holds it"
            if place == SERVICE:
                remedy = "a file that holds it: to_file in place of to"
            raise ConfigError(f"{origin}: {'.'.join(place)}", "a secret does not belong in this file", remedy)


def _is_secret(place: Place, value: Any) -> bool:
    """Whether a setting is one that nobody should read: a key, an address with a password, a way to write."""
    if not isinstance(value, str):
        return bool(SECRET.search(place[-1]))
    is_service = place == SERVICE and "://" in value
    return is_service or bool(SECRET.search(place[-1]) or URL_WITH_PASSWORD.search(value))


def _leaves(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*place, str(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, place)
    elif place:
        yield place, value


def rooted(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same tables with every path in them taken from the folder of the file that names it."""
    return {key: _root(key, value, folder) for key, value in table.items()}


def _root(key: str, value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return rooted(value, folder)
    if isinstance(value, list):
        return [_root(key, inner, folder) for inner in value]
    if isinstance(value, str) and value and (key == "folder" or key.endswith("_file")):
        return str(folder / Path(value).expanduser())
    return value


def overrides_of(environ: Mapping[str, str]) -> dict[tuple[str, ...], Any]:
    """What the environment sets, by place. A variable set to nothing sets nothing."""
    named = (
        (name, text) for name, text in environ.items() if name.startswith(PREFIX) and "__" in name and text
    )
    return {tuple(name.removeprefix(PREFIX).lower().split("__")): _typed(text) for name, text in named}


def _typed(text: str) -> Any:
    """Lists, tables and quoted strings as TOML writes them; plain words and numbers as they stand."""
    if text[0] not in "[{\"'":
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def laid_over(tables: dict[str, Any], overrides: Mapping[Place, Any]) -> dict[str, Any]:
    """The tables with what the environment sets in place of what they say."""
    for place, value in overrides.items():
        inner = tables
        for part in place[:-1]:
            step = inner.get(part)
            inner[part] = dict(step) if isinstance(step, dict) else {}
            inner = inner[part]
        inner[place[-1]] = value
    return tables
