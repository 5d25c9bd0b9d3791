"""The table of docs/guides/users-and-permissions.md, from the routes (`make people`)."""

from itertools import groupby
from pathlib import Path

from auditor.web.access import Access, RequireAccess
from tests.support.all_commands import commands
from tests.support.all_routes import list_all_routes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "users-and-permissions.md"
BEGIN, END = "<!-- access: written from the routes by `make people` -->\n", "<!-- access ends -->\n"
TYPED, LAST = (
    "<!-- commands: written from the command line by `make people` -->\n",
    "<!-- commands end -->\n",
)
WHO = {
    Access.PUBLIC: "anybody; where the address has a token, that lets in",
    Access.REPORT_LINK: "an association, by its letter",
    Access.MONITORING: "this machine, or whoever shows its token",
    Access.LOGGED_IN: "everybody who is logged in",
    Access.COORDINATOR: "coordinators; those of some regions are shown what is theirs",
    Access.OWN_REGION: "coordinators of all regions, or of the association's",
    Access.ALL_REGIONS: "coordinators of all regions",
    Access.ADMIN: "administrators",
}


def gates(route):
    """What a route declares of who may use it."""
    return [
        one.dependency for one in route.dependencies if isinstance(one.dependency, RequireAccess)
    ]


def table():
    """The rows: each access, and the routes that declare it."""
    told = {access: [] for access in Access}
    for route in list_all_routes():
        for gate in gates(route):
            told[gate.access].append(f"`{'/'.join(sorted(route.methods))} {shown(route.path)}`")
    lines = ["| who | what |", "|---|---|"]
    lines += [f"| {WHO[access]} | {'<br>'.join(sorted(ways))} |" for access, ways in told.items()]
    return "\n".join(lines) + "\n"


def shown(path):
    """A path as people read it: without how its parts are read, and its language only on the first page."""
    bare = path if path in {"/{language}", "/{language}/"} else path.removeprefix("/{language}")
    return bare.replace(":path}", "}").replace(":int}", "}")


def listed():
    """Every command that there is, a line for each with its own ones."""
    told = groupby(commands(), lambda words: words.partition(" ")[0])
    return "".join(f"- {', '.join(f'`{one}`' for one in own)}\n" for _, own in told)


def written(page):
    """The page with its parts as the routes and the command line have them."""
    return _between(_between(page, BEGIN, table(), END), TYPED, listed(), LAST)


def _between(page, begin, told, end):
    before, _, rest = page.partition(begin)
    return before + begin + told + end + rest.partition(end)[2]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
