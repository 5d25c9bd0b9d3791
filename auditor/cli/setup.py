"""`init` and `doctor`: create the first files, and check an installation."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.context import (
    FormatOption,
    JsonOption,
    examples,
    get_cli_context,
    get_current_time,
)
from auditor.cli.output import (
    NEW_FILE_FLAGS,
    PRIVATE_FILE_MODE,
    choose_table_format,
    print_json,
    print_message,
    print_table,
)
from auditor.cluster import list_cluster_checks
from auditor.config.schema import find_packaged_config
from auditor.core.errors import ConfigError
from auditor.diagnostics import environment, network, run_diagnostics
from auditor.registry.exporter import build_export_rows
from auditor.registry.spreadsheet import to_csv
from storage.errors import build_file_error

SETTINGS_TO_EDIT = ("[network] name", "[fetch] contact", "[web] public_url")
"""The settings that every operator edits before the first run."""

CONFIG_FILE_MODE = 0o644
"""The configuration has no secrets, and the service may run as another user than its author."""

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
    empty_registry = to_csv(build_export_rows([], []))
    for file, content, mode in (
        (config_file, config, CONFIG_FILE_MODE),
        (spreadsheet, empty_registry, PRIVATE_FILE_MODE),
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
    settings = ", ".join(SETTINGS_TO_EDIT)
    cli_context.print_note(f"set {settings} in {config_file}, then `{program} doctor`")
    command = f"`{program} registry import {spreadsheet}`"
    cli_context.print_note(f"next: fill {spreadsheet}, then {command}")
    user = f"`{program} user add NAME --role admin`"
    cli_context.print_note(f"dashboard in the browser: {user}, then `{program} serve`")


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
