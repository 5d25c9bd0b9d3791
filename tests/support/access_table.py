"""Writes the permission tables of docs/guides/users-and-permissions.md (`make access-table`).

The routes table comes from the routers, the list of commands from the command line.
"""

from itertools import groupby
from pathlib import Path
from typing import get_args

from auditor.web.access import Access, RequireAccess
from tests.support.all_commands import commands
from tests.support.all_routes import list_all_routes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "users-and-permissions.md"
ROUTES_START = "<!-- access: written from the routes by `make access-table` -->\n"
ROUTES_END = "<!-- access ends -->\n"
COMMANDS_START = "<!-- commands: written from the command line by `make access-table` -->\n"
COMMANDS_END = "<!-- commands end -->\n"
ACCESS_LABELS = {
    "public": "everyone; a token in the address is the permission",
    "report_link": "an association with its report link",
    "monitoring": "programs on this machine, or with the metrics token",
    "logged_in": "every user",
    "coordinator": "coordinators; the page shows only their regions",
    "own_region": "coordinators of the association's region or of all regions",
    "all_regions": "coordinators of all regions",
    "admin": "administrators",
}


def list_access_requirements(route):
    """Return the access dependencies that a route declares."""
    return [
        dependency.dependency
        for dependency in route.dependencies
        if isinstance(dependency.dependency, RequireAccess)
    ]


def build_routes_table():
    """Return the Markdown table of routes by access."""
    routes_by_access = {access: [] for access in get_args(Access)}
    for route in list_all_routes():
        for requirement in list_access_requirements(route):
            methods = "/".join(sorted(route.methods))
            routes_by_access[requirement.access].append(f"`{methods} {format_path(route.path)}`")
    lines = ["| users | pages |", "|---|---|"]
    for access, routes in routes_by_access.items():
        lines.append(f"| {ACCESS_LABELS[access]} | {'<br>'.join(sorted(routes))} |")
    return "\n".join(lines) + "\n"


def format_path(path):
    """Return a path without its converters and without the language, except on the first page."""
    if path not in {"/{language}", "/{language}/"}:
        path = path.removeprefix("/{language}")
    return path.replace(":path}", "}").replace(":int}", "}")


def build_commands_list():
    """Return a Markdown list of all commands, one line for each top-level command."""
    groups = groupby(commands(), lambda command: command.partition(" ")[0])
    lines = [", ".join(f"`{command}`" for command in group) for _, group in groups]
    return "".join(f"- {line}\n" for line in lines)


def update_page(page):
    """Return the text of the page with both tables replaced."""
    page = _replace_between(page, ROUTES_START, build_routes_table(), ROUTES_END)
    return _replace_between(page, COMMANDS_START, build_commands_list(), COMMANDS_END)


def _replace_between(page, start, text, end):
    before, _, rest = page.partition(start)
    return before + start + text + end + rest.partition(end)[2]


if __name__ == "__main__":
    PAGE.write_text(update_page(PAGE.read_text("utf-8")), "utf-8")
