"""`user`: add, list and remove the users of the web pages."""

from typing import Annotated, Any, Literal

import typer

from auditor.app import App
from auditor.cli.context import (
    AuthorOption,
    CliContext,
    FormatOption,
    JsonOption,
    LimitOption,
    examples,
    get_cli_context,
    get_current_time,
    make_group,
    show_list,
)
from auditor.cli.decisions import resolve_author
from auditor.cli.output import choose_table_format, print_data
from auditor.i18n.translator import Translator
from auditor.users import service
from storage.models.users import Role
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
    author_name, cli_context = resolve_author(author), get_cli_context(context)
    # the first user may log in before anything is imported
    with App.open(cli_context.load_config()) as app:
        user, token = service.add_user(
            app.store, name, Role(role), region or (), author=author_name, now=get_current_time()
        )
        _print_invite_link(cli_context, app, user, token)


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
    with get_cli_context(context).open_app_for_reading() as app:
        items = list(map(_build_user_item, app.store.users.list_all()))
    show_list(
        context,
        items,
        USER_COLUMNS,
        table_format,
        config=app.config,
        limit=limit,
        build_row=lambda item: {
            **item,
            "regions": ", ".join(item["regions"]),
            "added_at": item["added_at"].date(),
        },
    )


@user_app.command()
@examples("auditor user reset Amina")
def reset(context: typer.Context, name: UserNameArgument, author: AuthorOption = None) -> None:
    """Create a new invitation link for a user.

    The old password no longer works, and the user is logged out everywhere.
    """
    author_name, cli_context = resolve_author(author), get_cli_context(context)
    with cli_context.open_app() as app:
        user = service.get_user(app.store, name)
        token = service.create_invite(app.store, user, author_name, get_current_time())
        _print_invite_link(cli_context, app, user, token)


@user_app.command()
@examples("auditor user remove Amina")
def remove(context: typer.Context, name: UserNameArgument) -> None:
    """Remove a user.

    The user can no longer log in. The history of changes still shows the name.
    """
    cli_context = get_cli_context(context)
    with cli_context.open_app() as app:
        user = service.get_user(app.store, name)
        service.remove_user(app.store, user, get_current_time())
    cli_context.print_note(f"{user.name} can no longer log in")


def _print_invite_link(cli_context: CliContext, app: App, user: User, token: str) -> None:
    base_url = service.get_web_base_url(app.config)
    print_data(service.build_welcome_url(base_url, cli_context.language, token))
    expires_at = Translator("en").format_datetime(
        get_current_time() + service.MAX_INVITE_AGE, app.config.network.time_zone
    )
    cli_context.print_note(
        f"the first person to open this link sets the password of {user.name}; "
        f"it expires on {expires_at}"
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
