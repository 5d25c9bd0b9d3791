"""Why a configuration is refused: one line of place, cause and what to try, from what pydantic found."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from auditor.core.errors import ConfigError

EXAMPLE = "see the example that `auditor init` writes"


def told(
    problem: ValidationError, config: type[BaseModel], origin: str, variables: Mapping[tuple[str, ...], str]
) -> ConfigError:
    """The first thing wrong. `variables` are the environment's names by the place they set."""
    first = problem.errors(include_url=False)[0]
    place = first["loc"]
    variable = next(
        (v for at, v in variables.items() if place and place[: len(at)] == at[: len(place)]), None
    )
    context = first.get("ctx", {})
    written = _written((*place, context["at"] - 1) if "at" in context else place)
    where = variable or f"{origin}: {written}"
    if "near" in context:
        return ConfigError(where, first["msg"], context["near"])
    return ConfigError(where.rstrip(": "), *_cause(config, first["type"], lower(first["msg"]), place))


def _written(place: tuple[int | str, ...]) -> str:
    """`rules[4].days`: tables by name, rules by their number in the file, counted from one."""
    said = ""
    for before, part in zip(("", *place), place, strict=False):
        if not (isinstance(before, int) and place[0] == "rules"):  # there pydantic names the rule's check
            said += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return said.lstrip(".")


def _cause(config: type[BaseModel], kind: str, message: str, place: tuple[int | str, ...]) -> tuple[str, str]:
    known = _names_beside(config, place)
    if kind == "extra_forbidden":
        return "there is no such setting", near(str(place[-1]), known, f"one of {', '.join(known)}")
    if kind == "missing":
        return "this setting is missing", "add it"
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return "its check is not one of the closed set", f"one of {', '.join(sorted(_checks(config)))}"
    if kind in {"model_type", "dict_type", "mapping_type", "model_attributes_type"}:
        return "this should be a table", f"[{'.'.join(map(str, place))}] on a line of its own"
    return message.removeprefix("value error, "), EXAMPLE


def _checks(config: type[BaseModel]) -> Iterator[str]:
    for model in _models(config.model_fields["rules"].annotation):
        yield from get_args(model.model_fields["check"].annotation)


def _names_beside(config: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    models = [config]
    for part in place[:-1]:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [inner for field in fields for inner in _models(field.annotation)] or _tagged(models, part)
    return sorted({field.alias or name for model in models for name, field in model.model_fields.items()})


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


def near(word: str, known: Collection[str], otherwise: str = EXAMPLE) -> str:
    """The known word most like one that is not known."""
    return next(iter(difflib.get_close_matches(word, known, 1)), otherwise)


def lower(message: str) -> str:
    """A message as it stands within a sentence."""
    return message[:1].lower() + message[1:]
