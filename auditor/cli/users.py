"""`user`: add, list and remove the users of the web pages."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from auditor.cli.context import (
    CliContext,
    examples,
    get_cli_context,
    get_current_time,
    limit_rows,
    make_group,
)
from auditor.cli.decisions import resolve_author
from auditor.cli.options import AuthorOption, FormatOption, JsonOption, LimitOption
from auditor.cli.output import choose_table_format, print_data, print_json, print_table

if TYPE_CHECKING:
    from datetime import datetime

    from auditor.app import App
    from auditor.i18n.translator import Translator
    from storage.tables.users import User

USER_COLUMNS = ("role", "state", "added_at", "added_by", "regions", "name")

user_app = make_group("Manage who may log in to the web pages.")

UserNameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="Name to log in with. It is recorded as the author of changes."
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
        typer.Option(
            help="Give this role. A reader only reads, a coordinator also edits "
            "associations, an admin also manages users."
        ),
    ],
    region: Annotated[
        list[str] | None, typer.Option(help="Limit a coordinator to this region. Can be repeated.")
    ] = None,
    author: AuthorOption = None,
) -> None:
    """Add a user and print an invitation link.

    The user opens the link to choose a password. It works once and expires after one day.
    """
    from auditor.app import App
    from auditor.users import service
    from storage.models.users import Role

    author_name, cli_context = resolve_author(author), get_cli_context(context)
    # the first user may log in before anything is imported
    with App.open(cli_context.load_config()) as app:
        now = get_current_time()
        user, token = service.add_user(
            app.store, name, Role(role), region or (), author=author_name, now=now
        )
        _print_invite_link(cli_context, app, user, token, now)


@user_app.command("list")
@examples("auditor user list")
def list_users(
    context: typer.Context,
    limit: LimitOption = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the users.

    The state is invited until the user has set a password, then ready.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    with cli_context.open_app_for_reading() as app:
        users = limit_rows(context, app.store.users.list_all(), limit)
        items = list(map(_build_user_item, users))
    cli_context.explain_empty_result(len(items), app.config)
    if table_format == "json":
        print_json(items, get_current_time())
        return
    translator = cli_context.translator
    for item in items:
        item["regions"] = ", ".join(item["regions"])
        item["added_at"] = item["added_at"].date().isoformat()
    formatters = {"regions": partial(_translate_regions, translator)}
    groups = {"role": "role", "state": "user"}
    print_table(USER_COLUMNS, items, translator, table_format, formatters, term_groups=groups)


@user_app.command()
@examples("auditor user reset Amina")
def reset(context: typer.Context, name: UserNameArgument, author: AuthorOption = None) -> None:
    """Create a new invitation link for a user.

    The old password no longer works, and the user is logged out everywhere.
    """
    from auditor.users import service

    author_name, cli_context = resolve_author(author), get_cli_context(context)
    with cli_context.open_app() as app:
        now = get_current_time()
        user = service.get_user(app.store, name)
        token = service.create_invite(app.store, user, author_name, now)
        _print_invite_link(cli_context, app, user, token, now)


@user_app.command()
@examples("auditor user remove Amina")
def remove(context: typer.Context, name: UserNameArgument) -> None:
    """Remove a user.

    The user can no longer log in. The history of changes still shows the name.
    """
    from auditor.users import service

    cli_context = get_cli_context(context)
    with cli_context.open_app() as app:
        user = service.get_user(app.store, name)
        service.remove_user(app.store, user, get_current_time())
    cli_context.print_translated("{name} can no longer log in", name=user.name)


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
            now + service.MAX_INVITE_AGE, app.config.network.time_zone
        ),
    )


def _build_user_item(listed_user: User) -> dict[str, Any]:
    """Return an item of `user list --json`."""
    return {
        "name": listed_user.name,
        "role": listed_user.role.value,
        "regions": list(listed_user.regions),
        "state": "ready" if listed_user.password_hash else "invited",
        "added_at": listed_user.added_at,
        "added_by": listed_user.added_by,
        "password_at": listed_user.password_set_at,
    }


def _translate_regions(translator: Translator, codes: str) -> str:
    """Return the names of regions, whose codes are separated by commas."""
    if not codes:
        return ""
    return translator.join_list(map(translator.region_name, codes.split(", ")))
