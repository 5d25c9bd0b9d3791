"""`init`, `doctor` and `user`: set up an installation, check it, and manage its users."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

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
from auditor.cli.output import (
    NEW_FILE_FLAGS,
    PRIVATE_FILE_MODE,
    choose_table_format,
    print_data,
    print_json,
    print_message,
    print_table,
)
from auditor.cluster import list_cluster_checks
from auditor.config.schema import find_packaged_config
from auditor.core.errors import ConfigError
from auditor.core.i18n.translator import Translator
from auditor.registry.exporter import build_export_rows
from auditor.registry.spreadsheet import to_csv
from auditor.runs.diagnostics import environment, network, run_diagnostics
from auditor.web import users
from storage.errors import build_file_error
from storage.models.users import Role
from storage.tables.users import User

FIRST_CONFIG = """\
# The settings that each network changes. A setting whose line begins with "# " is not set.
# All others have their defaults: `auditor init --all-settings FOLDER` writes every setting.

[network]
# Name of the network, shown on every page.
name = "Our network"
# name_ar = "شبكتنا"
# name_fr = "Notre réseau"
# How associations reach the coordination team, in their reports. Numbers with the country code.
# contact_phone = "+212 537 00 00 00"
# contact_whatsapp = "+212 600 00 00 00"
# contact_email = "coordination@example.org"

[fetch]
# How owners of audited sites reach you: an email address or a web page, sent with each request.
contact = ""

[web]
# Public address of the reports. Links to reports begin with it.
# public_url = "https://reports.example.org"

[schedule]
# Time at which the nightly run of `auditor serve` starts, in UTC.
start_time = 00:30:00
"""


@examples("auditor init", "auditor init /srv/auditor")
def init(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(readable=False, help="Folder to create the files in.")
    ] = Path(),
    *,
    all_settings: Annotated[
        bool,
        typer.Option("--all-settings", help="Write every setting with its comment and default."),
    ] = False,
) -> None:
    """Create a configuration file and an empty registry.

    The files are config.toml and registry.csv. Files that already exist are not changed. The
    configuration has the few settings that each network changes; all others have their defaults.
    """
    cli_context = get_cli_context(context)
    spreadsheet = folder / "registry.csv"
    config_file = folder / "config.toml"
    config = find_packaged_config().read_bytes() if all_settings else FIRST_CONFIG.encode()
    for file, content, mode in (
        # the configuration has no secrets, and the service may run as another user than its author
        (config_file, config, 0o644),
        (spreadsheet, to_csv(build_export_rows([], [])), PRIVATE_FILE_MODE),
    ):
        outcome = "already exists, not changed"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                with os.fdopen(os.open(file, NEW_FILE_FLAGS, mode), "wb") as new_file:
                    new_file.write(content)
                outcome = "written"
        except OSError as error:
            raise build_file_error(error, f"cannot write {file}") from None
        print_message(f"{file}: {outcome}")
    # Commands in another folder, or with this variable, would read another configuration.
    default_file = Path(os.environ.get("AUDITOR_CONFIG") or "config.toml")
    program = "auditor" if config_file == default_file else f"auditor --config {config_file}"
    settings = "[network] name, [fetch] contact, [web] public_url"
    cli_context.print_note(f"set {settings} in {config_file}, then `{program} doctor`")
    cli_context.print_note(
        f"next: fill {spreadsheet}, then `{program} registry import {spreadsheet}`"
    )
    cli_context.print_note(
        f"dashboard in the browser: `{program} user add NAME --role admin`, then `{program} serve`"
    )


@examples("auditor doctor", "auditor doctor --offline")
def doctor(
    context: typer.Context,
    offline: Annotated[
        bool, typer.Option("--offline", help="Skip the checks that need the network.")
    ] = False,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the installation, configuration and data.

    Also reads a large page in a parser process, and requests one account that is known to exist on
    each channel. Exits with code 3 if a check fails.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    results = list(
        run_diagnostics(
            get_cli_context(context).config_path,
            get_current_time(),
            None if offline else network.check_network,
            environment.check_parsers,
            list_cluster_checks,
        )
    )
    items = list(map(asdict, results))
    if table_format == "json":
        print_json(items, get_current_time())
    else:
        print_table(("check", "state", "detail"), items, table_format)
    if any(result.state == "fail" for result in results):
        raise typer.Exit(ConfigError.exit_code)


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
        user, token = users.add_user(
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
        items = [
            {
                "name": user.name,
                "role": user.role.value,
                "regions": list(user.regions),
                "state": "ready" if user.password_hash else "invited",
                "added_at": user.added_at,
                "added_by": user.added_by,
                "password_at": user.password_set_at,
            }
            for user in app.store.users.list_all()
        ]
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
        user = users.get_user(app.store, name)
        token = users.create_invite(app.store, user, author_name, get_current_time())
        _print_invite_link(cli_context, app, user, token)


@user_app.command()
@examples("auditor user remove Amina")
def remove(context: typer.Context, name: UserNameArgument) -> None:
    """Remove a user.

    The user can no longer log in. The history of changes still shows the name.
    """
    cli_context = get_cli_context(context)
    with cli_context.open_app() as app:
        user = users.get_user(app.store, name)
        app.store.users.remove(user, get_current_time())
    cli_context.print_note(f"{user.name} can no longer log in")


def _print_invite_link(cli_context: CliContext, app: App, user: User, token: str) -> None:
    print_data(
        users.build_welcome_url(users.get_web_base_url(app.config), cli_context.language, token)
    )
    expires_at = Translator("en").format_datetime(
        get_current_time() + users.MAX_INVITE_AGE, app.config.network.time_zone
    )
    cli_context.print_note(
        f"the first person to open this link sets the password of {user.name}; "
        f"it expires on {expires_at}"
    )
