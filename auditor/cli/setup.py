"""`init` and `doctor`: a place to begin, and whether everything is in order."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.context import JsonOption, get_cli_context, get_current_time
from auditor.cli.output import is_stdout_terminal, print_data, print_message, print_table
from auditor.core.errors import ConfigError, InputError
from auditor.core.formatting import build_json_document

if TYPE_CHECKING:
    from auditor.diagnostics import DiagnosticResult
    from auditor.i18n.translator import Translator


def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to write.")] = Path(),
) -> None:
    """Write a configuration and an empty sheet.

    What is there already is left as it is.
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
    """Write a file unless it is there; say which it was. Raises InputError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as new:
            new.write(data)
    except FileExistsError:
        return translator.translate("{file}: already exists, not changed", file=str(file))
    except OSError as trouble:
        raise InputError(
            str(file), (trouble.strerror or "cannot be written").lower(), "another folder"
        ) from None
    return translator.translate("{file}: written", file=str(file))


def doctor(
    context: typer.Context,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody: no canary, no name server, no proxy.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell whether everything is in order.

    The installation, the configuration and the data are looked at, and a canary of each channel is asked.
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
