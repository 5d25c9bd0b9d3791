"""`user`: who may use the pages, added and removed by whoever has the machine's account."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from auditor.cli.context import Json, Session, clock, session
from auditor.cli.decisions import Who, whose
from auditor.cli.output import give, give_table
from auditor.core.formatting import document

if TYPE_CHECKING:
    from datetime import datetime

    from auditor.app import App
    from storage.models.users import User

COLUMNS = ("role", "state", "added_at", "added_by", "regions", "name")

user = typer.Typer(no_args_is_help=True, help="Who may log in to the pages, and what each may do there.")

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="As it is typed to log in, and stands beside what they sign.")
]


@user.command()
def add(
    context: typer.Context,
    name: Name,
    *,
    role: Annotated[
        Literal["admin", "coordinator", "reader"],
        typer.Option(help="What they may do: docs/guides/users-and-permissions.md."),
    ],
    region: Annotated[
        list[str] | None, typer.Option(help="A coordinator's region, as often as needed; all without one.")
    ] = None,
    who: Who = None,
) -> None:
    """Add somebody, and print the link by which they set a password, once and within a day."""
    from auditor.users import service
    from storage.models.users import Role

    by, asked = whose(who), session(context)
    with asked.open() as app:
        now = clock()
        added, token = service.added(app.store, name, Role(role), region or (), by=by, now=now)
        _give_link(asked, app, added, token, now)


@user.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List who may log in, and who has not set a password yet."""
    asked = session(context)
    with asked.open() as app:
        items = list(map(_item, app.store.users()))
    if as_json:
        give(document(items, clock()))
        return
    words = asked.words
    lines = ([_cell(name, item[name]) for name in COLUMNS] for item in items)
    give_table(
        COLUMNS,
        lines,
        words,
        {
            "role": lambda code: words.term("role", code),
            "state": lambda code: words.term("user", code),
            "regions": lambda codes: words.listed(map(words.region, codes.split(", "))) if codes else "",
        },
    )


@user.command()
def reset(context: typer.Context, name: Name, who: Who = None) -> None:
    """Print a new link to set a password; the old one and every session end at once."""
    from auditor.users import service

    by, asked = whose(who), session(context)
    with asked.open() as app:
        now, found = clock(), service.known(app.store, name)
        _give_link(asked, app, found, service.invited(app.store, found, by, now), now)


@user.command()
def remove(context: typer.Context, name: Name) -> None:
    """Let somebody in no more, from now on. What they signed keeps their name."""
    from auditor.users import service

    asked = session(context)
    with asked.open() as app:
        found = service.known(app.store, name)
        service.removed(app.store, found, clock())
    asked.tell("{name} can no longer log in", name=found.name)


def _give_link(asked: Session, app: App, found: User, token: str, now: datetime) -> None:
    from auditor.users import service

    give(service.link(service.base(app.config), asked.language, token))
    asked.tell(
        "whoever opens this link first sets the password of {name}; it ends on {time}",
        name=found.name,
        time=asked.words.moment(now + service.HOLDS, app.config.network.zone),
    )


def _item(found: User) -> dict[str, Any]:
    """The item of `user list --json`."""
    return {
        "name": found.name,
        "role": found.role.value,
        "regions": list(found.regions),
        "state": "ready" if found.password_hash else "invited",
        "added_at": found.added_at,
        "added_by": found.added_by,
        "password_at": found.password_at,
    }


def _cell(name: str, value: Any) -> Any:
    if name == "added_at":
        return value.date().isoformat()
    return ", ".join(value) if isinstance(value, list) else value
