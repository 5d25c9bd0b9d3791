"""Writes docs/guides/limits.md (`make limits`).

Settings come from the models of the configuration and from config.toml, other limits from the
constants of the code, `MAX_…`, `…_LIMIT` and `…_LIMITS`. Each is listed with the tests that are
marked with its name, such as `@pytest.mark.limit("fetch.max_bytes")`.
"""

import ast
import importlib
import re
from collections import defaultdict
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import get_args

from limits import RateLimitItem
from pydantic import BaseModel

from auditor.config.loader import find_number_range
from auditor.config.schema import Config, find_packaged_config
from auditor.rules.engine import AnyRule
from tests.support.fault_matrix import iter_marked_tests

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
PAGE = ROOT / "docs" / "guides" / "limits.md"
PACKAGES = ("probes", "storage", "auditor")
LIMIT_NAME = re.compile(r"MAX_\w+|[A-Z]\w*_LIMITS?")
UNLISTED_FOLDERS = {"demo", "migrations"}
INTRODUCTION = """# Limits

How much the auditor accepts of a website, a spreadsheet, a form or a user, and how much it stores.
`make limits` writes this page from the configuration, from the constants of the code, and from the
tests that are marked with a limit. Each of them tries the limit, one below and one above. Of a time
that the machine decides, it tries one well within the limit and one that never ends.

A page, a text or a list above its limit is cut, and the result says so if that matters. A form or a
spreadsheet above its limit is refused with one sentence.
"""
SETTINGS_HEAD = """## Settings

Numbers of `config.toml`, by table. A value outside of its range is refused when the configuration
is loaded; `test_number_is_accepted_up_to_its_limits_only` tries both ends of each range, for rules
`test_number_of_a_rule_is_accepted_up_to_its_limits_only`. The last column has tests of what the
setting limits.
"""
CONSTANTS_HEAD = """## Constants

They cannot be set, because another value would make the auditor slow or unsafe.
"""


@dataclass(frozen=True)
class Limit:
    """A row of the page. `name` is that of the marks."""

    name: str
    default: str
    meaning: str
    value_range: str = ""


def iter_numbers(model, path=()):
    """Yield the path of each number in the tables of the configuration, except in rules."""
    for name, field in model.model_fields.items():
        if name != "rules":
            yield from iter_numbers_of_type(field.annotation, (*path, name))


def iter_numbers_of_type(annotation, path):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from iter_numbers(annotation, path)
    elif annotation in {int, float}:
        yield path
    for inner in get_args(annotation):
        yield from iter_numbers_of_type(inner, path)


def iter_rule_numbers():
    """Yield the model of a rule and its fields that are numbers, in the order of the models."""
    [union, _] = get_args(AnyRule)
    for model in get_args(union):
        for (name,) in sorted(set(iter_numbers(model))):
            yield model, name


def list_rule_settings():
    """Return a limit for each number of the rules, such as `rules.older_than.days`."""
    limits = []
    for model, name in iter_rule_numbers():
        [check] = get_args(model.model_fields["check"].annotation)
        lowest, highest = find_number_range(Config, ("rules", check, name))
        value_range = f"{format_value(lowest)} to {format_value(highest)}"
        default = model.model_fields[name].get_default()
        meaning = model.__doc__.partition("\n")[0]
        limits.append(Limit(f"rules.{check}.{name}", format_value(default), meaning, value_range))
    return sorted(limits, key=attrgetter("name"))


def list_settings():
    """Return a limit for each number of the configuration, in the order of their names."""
    return sorted([*_list_table_settings(), *list_rule_settings()], key=attrgetter("name"))


def _list_table_settings():
    defaults = Config()
    limits = []
    for path in sorted(set(iter_numbers(Config))):
        lowest, highest = find_number_range(Config, path)
        value_range = f"{format_value(lowest)} to {format_value(highest)}"
        name = ".".join(map(str, path))
        default = format_value(_find_default(defaults, path))
        limits.append(Limit(name, default, _read_comment(path), value_range))
    return limits


def _find_default(model, path):
    for part in path:
        model = getattr(model, str(part), None)
    return model


def _read_comment(path):
    """Return the first sentence about a setting, or else about its table, in config.toml."""
    lines = find_packaged_config().read_text("utf-8").splitlines()
    header = re.compile(rf"(?:# )?\[{re.escape('.'.join(map(str, path[:-1])))}(?:\.\w+)?\]")
    in_table, table_comment = False, ""
    for number, line in enumerate(lines):
        if re.match(r"(?:# )?\[[\w.]+\]", line):
            in_table = header.match(line) is not None
            table_comment = _read_comment_above(lines, number) if in_table else table_comment
        elif in_table and re.match(rf"(?:# )?{path[-1]} = ", line):
            return _read_comment_above(lines, number) or table_comment
    return table_comment


def _read_comment_above(lines, number):
    """Return the first sentence of the comment above a line, or "" if it is only a default."""
    comments = []
    for line in reversed(lines[:number]):
        if not line.startswith("# ") or re.match(r"# (?:\w+ = |\[)", line):
            break
        comments.insert(0, line.removeprefix("# "))
    sentences = re.split(r"(?<=[a-z0-9)]\.) (?=[A-Z0-9])", " ".join(comments))
    return "" if sentences[0].startswith("Default:") else sentences[0]


@cache
def list_constants():
    """Return a limit for each constant of the code that is one by its name, by module."""
    limits = []
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            if UNLISTED_FOLDERS.isdisjoint(file.parts):
                limits.extend(_list_constants_of(file))
    return limits


def _list_constants_of(file):
    text = file.read_text("utf-8")
    module_name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    statements = ast.parse(text).body
    limits = []
    for statement, following in zip(statements, [*statements[1:], None], strict=True):
        name = _get_limit_name(statement)
        if name is None:
            continue
        value = getattr(importlib.import_module(module_name), name)
        meaning = _get_docstring(following) or _get_line_comment(text, statement)
        values = {f"{module_name}.{name}": value}
        if is_dataclass(value):
            values = {
                f"{module_name}.{name}.{key.name}": getattr(value, key.name)
                for key in fields(value)
            }
        limits.extend(Limit(key, format_value(number), meaning) for key, number in values.items())
    return limits


def _get_limit_name(statement):
    """Return the name that a statement defines if it is that of a limit, or None."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return None
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    is_limit = isinstance(target, ast.Name) and LIMIT_NAME.fullmatch(target.id)
    return target.id if is_limit else None


def _get_docstring(statement):
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).split())
    return ""


def _get_line_comment(text, statement):
    line = text.splitlines()[statement.end_lineno - 1]
    return line.partition("  # ")[2]


def format_value(value):
    """Return a number with thousands separators, a duration in days, or a dash."""
    if isinstance(value, timedelta):
        return _format_duration(value)
    if isinstance(value, tuple):
        return ", ".join(map(format_value, value))
    if isinstance(value, RateLimitItem):
        return str(value)
    if not isinstance(value, int | float):
        return "–"
    return f"{value:,.16g}" if isinstance(value, float) else f"{value:,}"


def _format_duration(duration):
    for unit in ("days", "hours", "minutes"):
        count = duration / timedelta(**{unit: 1})
        if count >= 2:
            return f"{count:g} {unit}"
    return f"{duration.total_seconds():g} seconds"


@cache
def find_tests_by_limit():
    """Return the tests of each limit by file: {"fetch.max_bytes": {"test_a.py": ["test_…"]}}."""
    tests_by_limit = defaultdict(lambda: defaultdict(list))
    for file in sorted(TESTS.rglob("test_*.py")):
        relative_path = file.relative_to(TESTS).as_posix()
        for test, name in iter_marked_tests(ast.parse(file.read_text("utf-8")), "limit"):
            tests_by_limit[name][relative_path].append(test)
    return tests_by_limit


def render_page():
    """Return the Markdown text of the whole page."""
    lines = [INTRODUCTION, SETTINGS_HEAD]
    lines += ["| setting | default | range | meaning | tests |", "|---|---|---|---|---|"]
    for limit in list_settings():
        cells = (f"`{limit.name}`", limit.default, limit.value_range, limit.meaning)
        lines.append(_render_row(*cells, _render_tests(limit.name)))
    lines += ["", CONSTANTS_HEAD, "| constant | value | meaning | tests |", "|---|---|---|---|"]
    for limit in list_constants():
        cells = (f"`{limit.name}`", limit.default, limit.meaning)
        lines.append(_render_row(*cells, _render_tests(limit.name)))
    return "\n".join([*lines, ""])


def _render_row(*cells):
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _render_tests(name):
    links = []
    for file, tests in find_tests_by_limit().get(name, {}).items():
        names = ", ".join(f"`{test}`" for test in tests)
        links.append(f"[{Path(file).stem}](../../tests/{file}) {names}")
    return "; ".join(links)


if __name__ == "__main__":
    PAGE.write_text(render_page(), "utf-8")
