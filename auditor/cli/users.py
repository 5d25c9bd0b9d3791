"""`user`: who may use the pages, added and removed by whoever has the machine's account."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from auditor.cli.context import CliContext, JsonOption, get_cli_context, get_current_time
from auditor.cli.decisions import AuthorOption, resolve_author
from auditor.cli.help import examples, make_group
from auditor.cli.output import print_data, print_table
from auditor.core.formatting import build_json_document

if TYPE_CHECKING:
    from datetime import datetime

    from auditor.app import App
    from storage.models.users import User

USER_COLUMNS = ("role", "state", "added_at", "added_by", "regions", "name")

user_app = make_group("Manage who may log in to the web pages.")

UserNameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="Name to log in with; it is the author of what the user changes."
    ),
]


@user_app.command()
@examples("auditor user add Amina --role admin")
def add(
    context: typer.Context,
    name: UserNameArgument,
    *,
    role: Annotated[
        Literal["admin", "coordinator", "reader"],
        typer.Option(help="Give this role; see docs/guides/users-and-permissions.md."),
    ],
    region: Annotated[
        list[str] | None,
        typer.Option(help="Limit a coordinator to this region; can be repeated."),
    ] = None,
    author: AuthorOption = None,
) -> None:
    """Add a user and print an invitation link.

    The link sets the password. It works once, for one day.
    """
    from auditor.users import service
    from storage.models.users import Role

    by, asked = resolve_author(author), get_cli_context(context)
    with asked.open_app() as app:
        now = get_current_time()
        added, token = service.add_user(
            app.store, name, Role(role), region or (), author=by, now=now
        )
        _print_invite_link(asked, app, added, token, now)


@user_app.command("list")
def list_users(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the users and who has set a password."""
    asked = get_cli_context(context)
    with asked.open_app() as app:
        items = list(map(_build_user_item, app.store.list_users()))
    if as_json:
        print_data(build_json_document(items, get_current_time()))
        return
    words = asked.translator
    lines = ([_format_cell(name, item[name]) for name in USER_COLUMNS] for item in items)
    print_table(
        USER_COLUMNS,
        lines,
        words,
        {
            "role": lambda code: words.term("role", code),
            "state": lambda code: words.term("user", code),
            "regions": lambda codes: (
                words.join_list(map(words.region_name, codes.split(", "))) if codes else ""
            ),
        },
    )


@user_app.command()
def reset(context: typer.Context, name: UserNameArgument, author: AuthorOption = None) -> None:
    """Create a new invitation link for a user.

    The old password and all sessions end at once.
    """
    from auditor.users import service

    by, asked = resolve_author(author), get_cli_context(context)
    with asked.open_app() as app:
        now, found = get_current_time(), service.get_user(app.store, name)
        _print_invite_link(asked, app, found, service.create_invite(app.store, found, by, now), now)


@user_app.command()
def remove(context: typer.Context, name: UserNameArgument) -> None:
    """Remove a user.

    The user can no longer log in. The audit log keeps the name.
    """
    from auditor.users import service

    asked = get_cli_context(context)
    with asked.open_app() as app:
        found = service.get_user(app.store, name)
        service.remove_user(app.store, found, get_current_time())
    asked.print_translated("{name} can no longer log in", name=found.name)


def _print_invite_link(
    cli_context: CliContext, app: App, invited_user: User, token: str, now: datetime
) -> None:
    from auditor.users import service

    print_data(
        service.build_welcome_url(service.get_web_base_url(app.config), cli_context.language, token)
    )
    cli_context.print_translated(
        "the first person to open this link sets the password of {name}; it expires on {time}",
        name=invited_user.name,
        time=cli_context.translator.format_datetime(
            now + service.INVITE_VALIDITY, app.config.network.time_zone
        ),
    )


def _build_user_item(listed_user: User) -> dict[str, Any]:
    """The item of `user list --json`."""
    return {
        "name": listed_user.name,
        "role": listed_user.role.value,
        "regions": list(listed_user.regions),
        "state": "ready" if listed_user.password_hash else "invited",
        "added_at": listed_user.added_at,
        "added_by": listed_user.added_by,
        "password_at": listed_user.password_set_at,
    }


def _format_cell(column: str, value: Any) -> Any:
    if column == "added_at":
        return value.date().isoformat()
    return ", ".join(value) if isinstance(value, list) else value
