"""Read the layers of a configuration: a file without secrets, and the environment.

It also turns the first validation error of pydantic into one line: place, cause and remedy.
"""

import difflib
import re
from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, get_args

import tomli
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from auditor.core.errors import ConfigError
from storage.errors import explain_file_error

ENV_PREFIX = "AUDITOR_"
SECRET_NAME_PATTERN = re.compile(r"(?:^|_)(?:key|token|secret|password|bearer)$")
PATH_NAME_PATTERN = re.compile(r"^folder$|_file$")
URL_PATTERN = re.compile("://")
URL_WITH_PASSWORD_PATTERN = re.compile(r"://[^/@\s:]*:[^/@\s]+@")
SERVICE_URL_PATH = ("notify", "recipients", "to")
"""Path of the URL of a chat or another service. Anyone who knows it can write there."""

SettingPath = tuple[str, ...]


class SettingsTable(BaseModel):
    """Base of the tables: immutable, and unknown settings are errors.

    A name in `secrets`, such as `password`, may be set by the file in `password_file` instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    secrets: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: Any) -> Any:
        for name in cls.secrets if isinstance(values, dict) else ():
            path = values.get(f"{name}_file")
            if path and not values.get(name):
                values = {**values, name: read_secret_file(path, f"{name}_file")}
        return values


def read_toml_tables(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file. Raises ConfigError."""
    try:
        return tomli.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigError(str(path), "not UTF-8 text", "save it as UTF-8") from None
    except (RecursionError, ValueError) as error:  # also limits of the parser
        reason = f"not TOML, {lowercase_first(str(error).partition(';')[0])}"
        raise ConfigError(str(path), reason, "correct that line") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}", *explain_file_error(error)) from None


def read_secret_file(path: str | Path, setting: str) -> str:
    """Return the secret in the file that a setting names.

    Raises ValueError, which a model reports with its place.
    """
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        reason, remedy = "it is not UTF-8 text", "save it as UTF-8"
    except OSError as error:
        reason, remedy = explain_file_error(error)
    context = {"path": str(path), "reason": reason, "suggestion": remedy, "setting": setting}
    message = "cannot read the secret file {path}: {reason}"
    raise PydanticCustomError("unreadable_secret", message, context)


def refuse_secrets(tables: dict[str, Any], origin: str) -> None:
    """Raise ConfigError if a table contains a secret: such a file gets copied and committed."""
    for path, table in iter_settings(tables):
        pattern = URL_WITH_PASSWORD_PATTERN
        variable = ENV_PREFIX + "__".join(path).upper()
        remedy = f"set {variable} in the environment, or name a file that contains it"
        if path == SERVICE_URL_PATH:
            pattern, remedy = URL_PATTERN, "a file that contains it: to_file instead of to"
        if SECRET_NAME_PATTERN.search(path[-1]) or pattern.search(str(table[path[-1]])):
            raise ConfigError(
                f"{origin}: {'.'.join(path)}", "a secret does not belong in this file", remedy
            )


def iter_settings(
    table: dict[str, Any], path: SettingPath = ()
) -> Iterator[tuple[SettingPath, dict[str, Any]]]:
    """Yield the path of each setting with the table it is in. Tables of a list have its path."""
    for name, value in table.items():
        match value:
            case {}:
                yield from iter_settings(value, (*path, name))
            case [{}, *_]:
                for inner in value:
                    yield from iter_settings(inner, (*path, name))
            case _:
                yield (*path, name), table


def merge_tables(defaults: Mapping[str, Any], tables: Any) -> Any:
    """Return the default tables with the settings of other tables, by name.

    What is not a table is returned as it is, and fails in the validation.
    """
    if not isinstance(tables, dict):
        return tables
    merged = dict(defaults)
    for name, table in tables.items():
        merged[name] = merged.get(name, {}) | table if isinstance(table, dict) else table
    return merged


def resolve_paths(tables: dict[str, Any], folder: Path) -> None:
    """Make each path in the tables relative to the folder of their file. Changes the tables."""
    for path, table in iter_settings(tables):
        value = table[path[-1]]
        if PATH_NAME_PATTERN.search(path[-1]) and isinstance(value, str) and value:
            table[path[-1]] = str(folder / Path(value).expanduser())


def read_env_overrides(environ: Mapping[str, str]) -> dict[SettingPath, Any]:
    """Return the settings of the environment by path. An empty variable sets nothing.

    Lists, tables and quoted strings are TOML; other text is taken as it is.
    """
    overrides: dict[SettingPath, Any] = {}
    for name, text in environ.items():
        if not text or not name.startswith(ENV_PREFIX) or "__" not in name:
            continue
        path = tuple(name.removeprefix(ENV_PREFIX).lower().split("__"))
        overrides[path] = text
        if text[0] in "[{\"'":
            with suppress(tomli.TOMLDecodeError):
                overrides[path] = tomli.loads(f"value = {text}")["value"]
    return overrides


def apply_overrides(tables: dict[str, Any], overrides: Mapping[SettingPath, Any]) -> dict[str, Any]:
    """Set the overrides in the tables, which are changed and returned."""
    for path, value in overrides.items():
        inner = tables
        for part in path[:-1]:
            existing = inner.get(part)
            inner[part] = dict(existing) if isinstance(existing, dict) else {}
            inner = inner[part]
        inner[path[-1]] = value
    return tables


EXAMPLE_HINT = "see the example that `auditor init` writes"


def build_config_error(
    validation_error: ValidationError,
    config_model: type[BaseModel],
    origin: str,
    variables: Mapping[SettingPath, str],
) -> ConfigError:
    """Build the error for the first problem; `variables` are names in the environment by path."""
    first = validation_error.errors(include_url=False)[0]
    context = first.get("ctx", {})
    # an error of a whole table says which of its settings is wrong
    path = (*first["loc"], context["setting"]) if "setting" in context else first["loc"]
    # pydantic inserts the name of a rule's check
    shown_path = path[:2] + path[3:] if path[:1] == ("rules",) else path
    # items of a list are numbered from one
    parts = (f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in shown_path)
    place = f"{origin}: {''.join(parts).lstrip('.')}".rstrip(": ")
    for variable_path, variable in variables.items():  # it set the setting, a part or its table
        if path and path[: len(variable_path)] == variable_path[: len(path)]:
            place = variable
            break
    if "suggestion" in context:
        return ConfigError(place, first["msg"], context["suggestion"])
    error_type = first["type"]
    if error_type == "extra_forbidden":
        settings = _list_sibling_settings(config_model, path)
        remedy = suggest_nearest(str(path[-1]), settings, f"one of {', '.join(settings)}")
        return ConfigError(place, "there is no such setting", remedy)
    if error_type == "missing":
        return ConfigError(place, "this setting is missing", "add it")
    if error_type in {"union_tag_invalid", "union_tag_not_found"}:
        rule_models = _iter_models(config_model.model_fields["rules"].annotation)
        checks = ", ".join(sorted(chain.from_iterable(map(_list_checks, rule_models))))
        return ConfigError(place, "there is no such check", f"one of {checks}")
    if error_type in {"model_type", "dict_type", "mapping_type", "model_attributes_type"}:
        table = ".".join(map(str, path))
        return ConfigError(place, "this should be a table", f"[{table}] on a line of its own")
    message = lowercase_first(first["msg"]).removeprefix("value error, ")
    reason, _, remedy = message.partition("; try: ")
    return ConfigError(place, reason, remedy or EXAMPLE_HINT)


def _list_checks(model: type[BaseModel]) -> tuple[Any, ...]:
    """Return the names of the check of a rule model; none for another model."""
    check = model.model_fields.get("check")
    return get_args(check.annotation) if check else ()


def _list_sibling_settings(config_model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Return the names of the settings in the table of a path."""
    models = [config_model]
    for part in map(str, path[:-1]):
        fields = ChainMap(*map(attrgetter("model_fields"), models))
        if part in fields:
            models = list(_iter_models(fields[part].annotation))
        else:  # the name of a channel, the number of an item, or the name of a rule's check
            models = [model for model in models if part in _list_checks(model)] or models
    fields = ChainMap(*map(attrgetter("model_fields"), models))
    return sorted(field.alias or name for name, field in fields.items())


def _iter_models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _iter_models(inner)


def suggest_nearest(word: str, known_words: Collection[str], fallback: str = EXAMPLE_HINT) -> str:
    """Return the known word most similar to an unknown one, or the fallback."""
    return next(iter(difflib.get_close_matches(word, known_words, 1)), fallback)


def lowercase_first(message: str) -> str:
    """Return a message with its first letter in lower case, for use inside a sentence."""
    return message[:1].lower() + message[1:]
