"""The configuration: one TOML file, read whole and refused whole, that environment variables override.

Looked for as `--config`, `$AUDITOR_CONFIG`, `./config.toml`; without any, the packaged example is used.
A table in the file stands in place of the example's table of that name; a key left out of it has the
default of its model. `AUDITOR_FETCH__PROXY=…` overrides `[fetch] proxy`, and so on at any depth.
Secrets come from the environment or from files, never from the configuration file.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from auditor.catalogue import catalogue
from auditor.errors import ConfigError
from auditor.rules import Rule
from auditor.standing import Bands, Confirm
from probes.fetch import FetchOptions

PREFIX = "AUDITOR_"
HERE = Path(__file__).resolve().parent
SECRET = re.compile(r"(?:^|_)(?:key|token|secret|password|bearer)$")
EXAMPLE = "see the example that `auditor init` writes"
URL_WITH_PASSWORD = re.compile(r"://[^/@\s:]*:[^/@\s]+@")

Language = Literal["ar", "fr", "en"]


class Table(BaseModel):
    """A TOML table: frozen, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Network(Table):
    """Who is audited: the network's names, the language of its pages, its clock."""

    name: str = "Our network"
    name_ar: str | None = None
    name_fr: str | None = None
    language: Language = "ar"
    zone: str = "Africa/Casablanca"

    @field_validator("zone")
    @classmethod
    def _is_known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            told = {"zone": f'"{zone}"', "near": "a name such as Africa/Casablanca"}
            raise PydanticCustomError("nameless", "no time zone is called {zone}", told) from None
        return zone


class Storage(Table):
    """Where everything is remembered: a folder for the archive and the lock, a database by URL."""

    folder: Path = Path("data")
    url: str = ""
    url_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_the_database(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("url"):
            return given
        if given.get("url_file"):
            return {**given, "url": _secret_in(given["url_file"])}
        return {**given, "url": f"sqlite:///{given.get('folder', 'data')}/auditor.db"}


class ChannelConfig(Table):
    """An audited channel: two accounts known to exist, one that cannot, and the key of its API if any."""

    canaries: tuple[str, ...] = ()
    impossible: str | None = None
    key: SecretStr | None = None
    key_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_the_key(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("key_file") and not given.get("key"):
            return {**given, "key": _secret_in(given["key_file"])}
        return given


class Survey(Table):
    """What people said when asked, in percent of associations: the figures coverage stands beside."""

    figures: Mapping[str, float] = Field(default_factory=dict)
    source: str = ""
    caveat: str = ""


class Schedule(Table):
    """When `auditor serve` begins the night (UTC), and for how many hours a missed one is still begun."""

    at: time = time(0, 30)
    grace_hours: float = Field(default=6, gt=0, le=24)


class Report(Table):
    """Where the pages go and in which languages."""

    folder: Path = Path("reports")
    languages: tuple[Language, ...] = ("ar", "fr", "en")


class Config(Table):
    """Everything that can be set. It is read once and handed down in parts."""

    network: Network = Network()
    storage: Storage = Field(default_factory=lambda: Storage.model_validate({}))
    fetch: FetchOptions = FetchOptions()
    channels: Mapping[str, ChannelConfig] = Field(default_factory=dict)
    confirm: Confirm = Confirm()
    activity: Bands = Bands()
    survey: Survey = Survey()
    schedule: Schedule = Schedule()
    report: Report = Report()
    rules: tuple[Rule, ...] = ()

    @field_validator("rules")
    @classmethod
    def _have_words(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        known = catalogue().entries
        for number, rule in enumerate(rules, 1):
            if rule.code not in known:
                raise PydanticCustomError(
                    "nameless",
                    "no gap is called {code}",
                    {"code": f'"{rule.code}"', "at": number, "near": _near(rule.code, known)},
                )
        return rules


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read the configuration. Raises ConfigError, one line of file, place, cause and remedy."""
    environ = os.environ if environ is None else environ
    found = find(path, environ)
    own = _read(found) if found else {}
    origin = str(found) if found else "the packaged config.toml"
    _refuse_secrets(own, origin)
    tables = _rooted({**_read(packaged()), **own}, found.parent if found else Path())
    from_environment = _overrides(environ)
    try:
        return Config.model_validate(_laid_over(tables, from_environment))
    except ValidationError as problem:
        raise _told(problem, origin, from_environment) from None


def find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read, or None where there is none and the packaged one serves. Raises ConfigError."""
    if path is None and environ.get("AUDITOR_CONFIG"):
        path = Path(environ["AUDITOR_CONFIG"])
    if path is not None:
        if not path.is_file():
            raise ConfigError(f"{path}", "there is no such file", "`auditor init` writes one")
        return path
    here = Path("config.toml")
    return here if here.is_file() else None


def packaged() -> Path:
    """The documented example that comes with the auditor: in the wheel, or at the top of the source tree."""
    inside = HERE / "config.toml"
    return inside if inside.is_file() else HERE.parent / "config.toml"


def unused(environ: Mapping[str, str]) -> list[str]:
    """The AUDITOR_… variables that set nothing, for `doctor`: a misspelt one is otherwise silent."""
    spoken = {"AUDITOR_CONFIG", "AUDITOR_DEBUG"}
    return sorted(
        name for name in environ if name.startswith(PREFIX) and "__" not in name and name not in spoken
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(str(path), f"not TOML, {_lower(str(problem))}", "mend that line") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "not UTF-8 text", "save it as UTF-8") from None
    except OSError as problem:
        raise ConfigError(
            str(path), _lower(problem.strerror or str(problem)), "mend its permissions"
        ) from None


def _secret_in(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise ValueError(f"the secret's file {path} cannot be read ({problem.strerror})") from None


def _refuse_secrets(table: Mapping[str, Any], origin: str) -> None:
    for place, value in _leaves(table):
        if SECRET.search(place[-1]) or (isinstance(value, str) and URL_WITH_PASSWORD.search(value)):
            variable = PREFIX + "__".join(place).upper()
            remedy = f"set {variable} in the environment, or name a file that holds it"
            raise ConfigError(f"{origin}: {'.'.join(place)}", "a secret does not belong in this file", remedy)


def _leaves(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*place, str(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, place)
    elif place:
        yield place, value


def _rooted(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same tables with every path in them taken from the folder of the file that names it."""
    return {key: _root(key, value, folder) for key, value in table.items()}


def _root(key: str, value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return _rooted(value, folder)
    if isinstance(value, str) and value and (key == "folder" or key.endswith("_file")):
        return str(folder / Path(value).expanduser())
    return value


def _overrides(environ: Mapping[str, str]) -> dict[tuple[str, ...], Any]:
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


def _laid_over(tables: dict[str, Any], overrides: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    for place, value in overrides.items():
        inner = tables
        for part in place[:-1]:
            step = inner.get(part)
            inner[part] = dict(step) if isinstance(step, dict) else {}
            inner = inner[part]
        inner[place[-1]] = value
    return tables


def _told(problem: ValidationError, origin: str, overrides: Mapping[tuple[str, ...], Any]) -> ConfigError:
    first = problem.errors(include_url=False)[0]
    place = first["loc"]
    by_environment = next((o for o in overrides if place and place[: len(o)] == o[: len(place)]), None)
    context = first.get("ctx", {})
    written = _written((*place, context["at"] - 1) if "at" in context else place)
    where = PREFIX + "__".join(by_environment).upper() if by_environment else f"{origin}: {written}"
    if "near" in context:
        return ConfigError(where, first["msg"], context["near"])
    return ConfigError(where.rstrip(": "), *_cause(first["type"], _lower(first["msg"]), place))


def _written(place: tuple[int | str, ...]) -> str:
    """`rules[4].days`: tables by name, rules by their number in the file, counted from one."""
    said = ""
    for before, part in zip(("", *place), place, strict=False):
        if not (isinstance(before, int) and place[0] == "rules"):  # there pydantic names the rule's check
            said += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return said.lstrip(".")


def _cause(kind: str, message: str, place: tuple[int | str, ...]) -> tuple[str, str]:
    known = _names_beside(place)
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(place[-1]), known, 1)
        return "there is no such setting", near[0] if near else f"one of {', '.join(known)}"
    if kind == "missing":
        return "this setting is missing", "add it"
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return "its check is not one of the closed set", f"one of {', '.join(sorted(_checks()))}"
    if kind in {"model_type", "dict_type", "mapping_type", "model_attributes_type"}:
        return "this should be a table", f"[{place[-1]}] on a line of its own"
    return message.removeprefix("value error, "), EXAMPLE


def _checks() -> Iterator[str]:
    for model in _models(Config.model_fields["rules"].annotation):
        yield from get_args(model.model_fields["check"].annotation)


def _names_beside(place: tuple[int | str, ...]) -> list[str]:
    models: list[type[BaseModel]] = [Config]
    for part in place[:-1]:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [inner for field in fields for inner in _models(field.annotation)] or _tagged(models, part)
    return sorted({name for model in models for name in model.model_fields})


def _tagged(models: list[type[BaseModel]], part: int | str) -> list[type[BaseModel]]:
    """Of the rules' models the one whose `check` the place names; all of them where it names none."""
    return [
        m
        for m in models
        if "check" in m.model_fields and part in get_args(m.model_fields["check"].annotation)
    ] or models


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _near(word: str, known: Collection[str]) -> str:
    """The known word most like one that is not known, or where to find them all."""
    return next(iter(difflib.get_close_matches(word, known, 1)), EXAMPLE)


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
