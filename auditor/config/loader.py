"""Read the layers of a configuration: a file without secrets, and the environment.

It also turns the first validation error of pydantic into one line: place, cause and remedy.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, get_args

import tomli
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from auditor.core.errors import ConfigError
from storage.errors import explain_file_error

ENV_PREFIX = "AUDITOR_"
SECRET_NAME_PATTERN = re.compile(r"(?:^|_)(?:key|token|secret|password|bearer)$")
PATH_NAME_PATTERN = re.compile(r"\Afolder\Z|_file\Z")
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


def build_setting_error(message: str, suggestion: str, **context: str | int) -> PydanticCustomError:
    """Return the error of a setting. Names in braces in the message are those of the context."""
    return PydanticCustomError("setting_error", message, {**context, "suggestion": suggestion})


def read_toml_tables(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file. Raises ConfigError."""
    try:
        return tomli.loads(path.read_text(encoding="utf-8-sig"))
    except tomli.TOMLDecodeError as error:
        reason = f"not TOML, {lowercase_first(str(error))}"
        raise ConfigError(str(path), reason, "correct that line") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "not UTF-8 text", "save it as UTF-8") from None
    except (RecursionError, ValueError) as error:  # limits of the parser: nesting and digits
        reason = f"not TOML, {lowercase_first(str(error).partition(';')[0])}"
        raise ConfigError(str(path), reason, "correct that line") from None
    except OSError as error:
        raise build_unreadable_error(path, error) from None


def build_unreadable_error(path: Path, error: OSError) -> ConfigError:
    """Return the error for a configuration file that cannot be read."""
    return ConfigError(f"cannot read {path}", *explain_file_error(error))


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


def refuse_secrets(table: Mapping[str, Any], origin: str) -> None:
    """Raise ConfigError if a table contains a secret: such a file gets copied and committed."""
    for path, value in _iter_settings(table):
        if not _is_secret(path, value):
            continue
        variable = ENV_PREFIX + "__".join(path).upper()
        remedy = f"set {variable} in the environment, or name a file that contains it"
        if path == SERVICE_URL_PATH:
            remedy = "a file that contains it: to_file instead of to"
        raise ConfigError(
            f"{origin}: {'.'.join(path)}", "a secret does not belong in this file", remedy
        )


def _is_secret(path: SettingPath, value: Any) -> bool:
    """Return True for a key, a password, an address with a password or the URL of a service."""
    if SECRET_NAME_PATTERN.search(path[-1]):
        return True
    pattern = URL_PATTERN if path == SERVICE_URL_PATH else URL_WITH_PASSWORD_PATTERN
    return isinstance(value, str) and pattern.search(value) is not None


def _iter_settings(value: Any, path: SettingPath = ()) -> Iterator[tuple[SettingPath, Any]]:
    """Yield the settings of a table and its inner tables. Items of a list have its path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _iter_settings(inner, (*path, str(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _iter_settings(inner, path)
    else:
        yield path, value


def resolve_paths(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the tables with every path resolved relative to the folder of its file."""
    return {key: _resolve_path_value(key, value, folder) for key, value in table.items()}


def _resolve_path_value(key: str, value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return resolve_paths(value, folder)
    if isinstance(value, list):
        return [_resolve_path_value(key, inner, folder) for inner in value]
    is_path = isinstance(value, str) and PATH_NAME_PATTERN.search(key)
    return str(folder / Path(value).expanduser()) if is_path and value else value


def read_env_overrides(environ: Mapping[str, str]) -> dict[SettingPath, Any]:
    """Return the settings of the environment by path. An empty variable sets nothing."""
    overrides: dict[SettingPath, Any] = {}
    for name in filter(environ.get, environ):
        if name.startswith(ENV_PREFIX) and "__" in name:
            path = tuple(name.removeprefix(ENV_PREFIX).lower().split("__"))
            overrides[path] = _parse_env_value(environ[name])
    return overrides


def _parse_env_value(text: str) -> Any:
    """Parse lists, tables and quoted strings as TOML; return other text as it is."""
    if text[0] not in "[{\"'":
        return text
    try:
        return tomli.loads(f"value = {text}")["value"]
    except tomli.TOMLDecodeError:
        return text


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
    shown_path = (*path, context["number"] - 1) if "number" in context else path
    variable = _find_variable(path, variables)
    place = variable or f"{origin}: {_format_setting_path(shown_path)}"
    if "suggestion" in context:
        return ConfigError(place, first["msg"], context["suggestion"])
    reason, remedy = _explain_error(
        config_model, first["type"], lowercase_first(first["msg"]), path
    )
    return ConfigError(place.rstrip(": "), reason, remedy)


def _find_variable(path: tuple[int | str, ...], variables: Mapping[SettingPath, str]) -> str | None:
    """Return the variable that set the setting at a path, or a part of it or its table."""
    for variable_path, variable in variables.items():
        if path and path[: len(variable_path)] == variable_path[: len(path)]:
            return variable
    return None


def _format_setting_path(path: tuple[int | str, ...]) -> str:
    """Format a path as `rules[4].days`; items of a list are numbered from one."""
    if path[:1] == ("rules",):
        path = path[:2] + path[3:]  # pydantic inserts the name of a rule's check after its number
    return "".join(map(_format_path_part, path)).lstrip(".")


def _format_path_part(part: int | str) -> str:
    return f"[{part + 1}]" if isinstance(part, int) else f".{part}"


def _explain_error(
    config_model: type[BaseModel], error_type: str, message: str, path: tuple[int | str, ...]
) -> tuple[str, str]:
    """Return the reason and the remedy of an error of pydantic."""
    if error_type == "extra_forbidden":
        settings = _list_sibling_settings(config_model, path)
        remedy = suggest_nearest(str(path[-1]), settings, f"one of {', '.join(settings)}")
        return "there is no such setting", remedy
    if error_type == "missing":
        return "this setting is missing", "add it"
    if error_type in {"union_tag_invalid", "union_tag_not_found"}:
        checks = sorted(_iter_check_names(config_model))
        return "there is no such check", f"one of {', '.join(checks)}"
    if error_type in {"model_type", "dict_type", "mapping_type", "model_attributes_type"}:
        table = ".".join(map(str, path))
        return "this should be a table", f"[{table}] on a line of its own"
    reason, _, remedy = message.removeprefix("value error, ").partition("; try: ")
    return reason, remedy or _suggest_number(config_model, path) or EXAMPLE_HINT


def _suggest_number(config_model: type[BaseModel], path: tuple[int | str, ...]) -> str:
    """Return the range of the number at a path as a remedy, or "" if the setting is no number."""
    limits = find_number_range(config_model, path)
    return "a number from {:g} to {:.12g}".format(*limits) if limits else ""


def find_number_range(
    config_model: type[BaseModel], path: tuple[int | str, ...]
) -> tuple[float, float] | None:
    """Return the least and the greatest value of a number, or None for another setting."""
    names = [str(part) for part in path if not isinstance(part, int)]
    models = [config_model]
    for number, name in enumerate(names):
        for model in models:
            field = model.model_fields.get(name)
            limits = _read_number_range(field) if field else None
            if limits and number >= len(names) - 2:  # the last name may be a key of a mapping
                return limits
        models = _list_inner_models(models, name) or models
    return None


def _read_number_range(field: FieldInfo) -> tuple[float, float] | None:
    lowest: float | None = None
    highest: float | None = None
    for constraint in (*field.metadata, *_iter_constraints(field.annotation)):
        lowest = getattr(constraint, "ge", lowest)
        highest = getattr(constraint, "le", highest)
    if lowest is None or highest is None:
        return None
    return lowest, highest


def _iter_constraints(annotation: Any) -> Iterator[Any]:
    """Yield the constraints of an annotation, such as those of the values of a mapping."""
    for inner in get_args(annotation):
        if isinstance(inner, FieldInfo):
            yield from inner.metadata
        else:
            yield from _iter_constraints(inner)


def _iter_check_names(config_model: type[BaseModel]) -> Iterator[str]:
    for rule_model in _iter_models(config_model.model_fields["rules"].annotation):
        yield from _list_checks(rule_model)


def _list_checks(model: type[BaseModel]) -> tuple[Any, ...]:
    """Return the names of the check of a rule model; none for another model."""
    check = model.model_fields.get("check")
    return get_args(check.annotation) if check else ()


def _list_sibling_settings(config_model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Return the names of the settings in the table of a path."""
    models = [config_model]
    for part in path[:-1]:
        models = _list_inner_models(models, str(part)) or models
    return sorted(set[str]().union(*map(_list_setting_names, models)))


def _list_setting_names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _list_inner_models(models: list[type[BaseModel]], name: str) -> list[type[BaseModel]]:
    """Return the models of the setting with this name, or else the rule model of this check."""
    inner_models: list[type[BaseModel]] = []
    for model in models:
        if name in model.model_fields:
            inner_models += _iter_models(model.model_fields[name].annotation)
    return inner_models or [model for model in models if name in _list_checks(model)]


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
