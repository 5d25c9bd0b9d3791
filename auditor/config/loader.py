"""The layers a configuration is laid from: a file without secrets, and the environment over it.

Why a configuration is refused: one line of place, cause and what to try, from what pydantic found.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from auditor.core.errors import ConfigError

ENV_PREFIX = "AUDITOR_"
SECRET_NAME_PATTERN = re.compile(r"(?:^|_)(?:key|token|secret|password|bearer)$")
URL_WITH_PASSWORD_PATTERN = re.compile(r"://[^/@\s:]*:[^/@\s]+@")
SERVICE_URL_PATH = ("notify", "recipients", "to")
"""Where the URL of a chat or another service stands: who reads it may write there."""

SettingPath = tuple[str, ...]


def read_toml_tables(path: Path) -> dict[str, Any]:
    """The tables of a file. Raises ConfigError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(
            str(path), f"not TOML, {lowercase_first(str(problem))}", "mend that line"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "not UTF-8 text", "save it as UTF-8") from None
    except OSError as problem:
        raise ConfigError(
            str(path), lowercase_first(problem.strerror or str(problem)), "mend its permissions"
        ) from None


def read_secret_file(path: str | Path) -> str:
    """The secret that a file holds. Raises ValueError, which a model reports with its place."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise ValueError(f"the secret's file {path} cannot be read ({problem.strerror})") from None


def refuse_secrets(table: Mapping[str, Any], origin: str) -> None:
    """Raise ConfigError where a secret stands in the file: it would be copied, shown and committed."""
    for place, value in _iter_settings(table):
        if _is_secret(place, value):
            variable = ENV_PREFIX + "__".join(place).upper()
            remedy = f"set {variable} in the environment, or name a file that holds it"
            if place == SERVICE_URL_PATH:
                remedy = "a file that holds it: to_file in place of to"
            raise ConfigError(
                f"{origin}: {'.'.join(place)}", "a secret does not belong in this file", remedy
            )


def _is_secret(path: SettingPath, value: Any) -> bool:
    """Whether a setting is one that nobody should read: a key, an address with a password, a way to write."""
    if not isinstance(value, str):
        return bool(SECRET_NAME_PATTERN.search(path[-1]))
    is_service = path == SERVICE_URL_PATH and "://" in value
    return is_service or bool(
        SECRET_NAME_PATTERN.search(path[-1]) or URL_WITH_PASSWORD_PATTERN.search(value)
    )


def _iter_settings(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _iter_settings(inner, (*path, str(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _iter_settings(inner, path)
    elif path:
        yield path, value


def resolve_paths(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same tables with every path in them taken from the folder of the file that names it."""
    return {key: _resolve_path_value(key, value, folder) for key, value in table.items()}


def _resolve_path_value(key: str, value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return resolve_paths(value, folder)
    if isinstance(value, list):
        return [_resolve_path_value(key, inner, folder) for inner in value]
    if isinstance(value, str) and value and (key == "folder" or key.endswith("_file")):
        return str(folder / Path(value).expanduser())
    return value


def read_env_overrides(environ: Mapping[str, str]) -> dict[tuple[str, ...], Any]:
    """What the environment sets, by place. A variable set to nothing sets nothing."""
    named = (
        (name, text)
        for name, text in environ.items()
        if name.startswith(ENV_PREFIX) and "__" in name and text
    )
    return {
        tuple(name.removeprefix(ENV_PREFIX).lower().split("__")): _parse_env_value(text)
        for name, text in named
    }


def _parse_env_value(text: str) -> Any:
    """Lists, tables and quoted strings as TOML writes them; plain words and numbers as they stand."""
    if text[0] not in "[{\"'":
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def apply_overrides(tables: dict[str, Any], overrides: Mapping[SettingPath, Any]) -> dict[str, Any]:
    """The tables with what the environment sets in place of what they say."""
    for place, value in overrides.items():
        inner = tables
        for part in place[:-1]:
            step = inner.get(part)
            inner[part] = dict(step) if isinstance(step, dict) else {}
            inner = inner[part]
        inner[place[-1]] = value
    return tables


EXAMPLE_HINT = "see the example that `auditor init` writes"


def build_config_error(
    validation_error: ValidationError,
    config_model: type[BaseModel],
    origin: str,
    variables: Mapping[tuple[str, ...], str],
) -> ConfigError:
    """The first thing wrong. `variables` are the environment's names by the place they set."""
    first = validation_error.errors(include_url=False)[0]
    place = first["loc"]
    variable = next(
        (v for at, v in variables.items() if place and place[: len(at)] == at[: len(place)]), None
    )
    context = first.get("ctx", {})
    written = _format_setting_path(
        (*place, context["number"] - 1) if "number" in context else place
    )
    where = variable or f"{origin}: {written}"
    if "suggestion" in context:
        return ConfigError(where, first["msg"], context["suggestion"])
    return ConfigError(
        where.rstrip(": "),
        *_explain_error(config_model, first["type"], lowercase_first(first["msg"]), place),
    )


def _format_setting_path(path: tuple[int | str, ...]) -> str:
    """`rules[4].days`: tables by name, rules by their number in the file, counted from one."""
    said = ""
    for before, part in zip(("", *path), path, strict=False):
        if not (
            isinstance(before, int) and path[0] == "rules"
        ):  # there pydantic names the rule's check
            said += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return said.lstrip(".")


def _explain_error(
    config_model: type[BaseModel], error_type: str, message: str, path: tuple[int | str, ...]
) -> tuple[str, str]:
    known = _list_sibling_settings(config_model, path)
    if error_type == "extra_forbidden":
        return "there is no such setting", suggest_nearest(
            str(path[-1]), known, f"one of {', '.join(known)}"
        )
    if error_type == "missing":
        return "this setting is missing", "add it"
    if error_type in {"union_tag_invalid", "union_tag_not_found"}:
        return (
            "its check is not one of the closed set",
            f"one of {', '.join(sorted(_iter_check_names(config_model)))}",
        )
    if error_type in {"model_type", "dict_type", "mapping_type", "model_attributes_type"}:
        return "this should be a table", f"[{'.'.join(map(str, path))}] on a line of its own"
    return message.removeprefix("value error, "), EXAMPLE_HINT


def _iter_check_names(config_model: type[BaseModel]) -> Iterator[str]:
    for model in _iter_models(config_model.model_fields["rules"].annotation):
        yield from get_args(model.model_fields["check"].annotation)


def _list_sibling_settings(config_model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    models = [config_model]
    for part in path[:-1]:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [
            inner for field in fields for inner in _iter_models(field.annotation)
        ] or _select_models_by_check(models, part)
    return sorted(
        {field.alias or name for model in models for name, field in model.model_fields.items()}
    )


def _select_models_by_check(
    models: list[type[BaseModel]], part: int | str
) -> list[type[BaseModel]]:
    """Of the rules' models the one whose `check` the place names; all of them where it names none."""
    return [
        m
        for m in models
        if "check" in m.model_fields and part in get_args(m.model_fields["check"].annotation)
    ] or models


def _iter_models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _iter_models(inner)


def suggest_nearest(word: str, known_words: Collection[str], fallback: str = EXAMPLE_HINT) -> str:
    """The known word most like one that is not known."""
    return next(iter(difflib.get_close_matches(word, known_words, 1)), fallback)


def lowercase_first(message: str) -> str:
    """A message as it stands within a sentence."""
    return message[:1].lower() + message[1:]
