"""`init` and `doctor`: a place to begin, and whether everything is in order."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.context import JsonOption, get_cli_context, get_current_time
from auditor.cli.help import examples
from auditor.cli.output import is_stdout_terminal, print_data, print_message, print_table
from auditor.core.errors import ConfigError
from auditor.core.formatting import build_json_document
from storage.errors import build_file_error

if TYPE_CHECKING:
    from auditor.diagnostics import DiagnosticResult
    from auditor.i18n.translator import Translator


@examples("auditor init", "auditor init /srv/auditor")
def init(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(readable=False, help="Folder to create them in.")
    ] = Path(),
) -> None:
    """Create a configuration file and an empty registry.

    Does not change files that exist.
    """
    from auditor.config.schema import find_packaged_config
    from auditor.registry.exporter import build_export_rows
    from auditor.registry.spreadsheet import to_csv

    asked, sheet = get_cli_context(context), folder / "registry.csv"
    print_message(
        _write_unless_exists(
            folder / "config.toml", find_packaged_config().read_bytes(), asked.translator
        )
    )
    print_message(_write_unless_exists(sheet, to_csv(build_export_rows([], [])), asked.translator))
    asked.print_translated(
        "next: fill {file}, then {command}",
        file=str(sheet),
        command=f"`auditor registry import {sheet}`",
    )


def _write_unless_exists(file: Path, data: bytes, translator: Translator) -> str:
    """Write a file unless it exists. Return which of both, in words. Raises StoreError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        exists = file.exists()
        if not exists:
            with file.open("xb") as new:
                new.write(data)
    except OSError as error:
        raise build_file_error(error, f"cannot write {file}") from None
    if exists:
        return translator.translate("{file}: already exists, not changed", file=str(file))
    return translator.translate("{file}: written", file=str(file))


@examples("auditor doctor", "auditor doctor --offline")
def doctor(
    context: typer.Context,
    offline: Annotated[
        bool, typer.Option("--offline", help="Skip the checks that need the network.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the installation, configuration and data.

    Requests a canary of each channel, too. Exits with code 3 if something does not work.
    """
    from auditor.diagnostics import network, run_diagnostics

    asked = get_cli_context(context)
    findings = list(
        run_diagnostics(
            asked.config_path, get_current_time(), None if offline else network.check_network
        )
    )
    if as_json:
        print_data(
            build_json_document((finding.to_dict() for finding in findings), get_current_time())
        )
    else:
        _print_diagnostics(findings, asked.translator)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(ConfigError.exit_code)


def _print_diagnostics(results: Iterable[DiagnosticResult], translator: Translator) -> None:
    if is_stdout_terminal():
        lines = (
            [
                translator.translate(f.check_template, **f.params),
                f.state,
                translator.translate(f.detail_template, **f.params),
            ]
            for f in results
        )
    else:
        lines = ([f.check, f.state, f.detail] for f in results)
    print_table(
        ("check", "state", "detail"),
        lines,
        translator,
        {"state": lambda code: translator.term("diagnostic", code)},
    )
