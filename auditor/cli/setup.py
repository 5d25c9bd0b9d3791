"""`init` and `doctor`: a place to begin, and whether everything is in order."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.context import Json, clock, session
from auditor.cli.output import give, give_table, is_terminal, say
from auditor.core.errors import ConfigError, InputError
from auditor.core.formatting import document

if TYPE_CHECKING:
    from auditor.diagnostics import Examined
    from auditor.i18n.wording import Wording


def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to write.")] = Path(),
) -> None:
    """Write a configuration and an empty sheet.

    What is there already is left as it is.
    """
    from auditor.config.schema import packaged
    from auditor.registry.exporter import table
    from auditor.registry.spreadsheet import to_csv

    asked, sheet = session(context), folder / "registry.csv"
    say(_put(folder / "config.toml", packaged().read_bytes(), asked.words))
    say(_put(sheet, to_csv(table([], [])), asked.words))
    asked.tell(
        "next: fill {file}, then {command}", file=str(sheet), command=f"`auditor registry import {sheet}`"
    )


def _put(file: Path, data: bytes, words: Wording) -> str:
    """Write a file unless it is there; say which it was. Raises InputError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as new:
            new.write(data)
    except FileExistsError:
        return words.say("{file}: already there, left as it is", file=str(file))
    except OSError as trouble:
        raise InputError(
            str(file), (trouble.strerror or "cannot be written").lower(), "another folder"
        ) from None
    return words.say("{file}: written", file=str(file))


def doctor(
    context: typer.Context,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody: no canary, no name server, no proxy.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell whether everything is in order.

    The installation, the configuration and the data are looked at, and a canary of each channel is asked.
    """
    from auditor.diagnostics import examine, network

    asked = session(context)
    findings = list(examine(asked.config_path, clock(), None if offline else network.heard))
    if as_json:
        give(document((finding.item() for finding in findings), clock()))
    else:
        _give_findings(findings, asked.words)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(ConfigError.code)


def _give_findings(findings: Iterable[Examined], words: Wording) -> None:
    if is_terminal():
        lines = ([words.say(f.about, **f.facts), f.state, words.say(f.message, **f.facts)] for f in findings)
    else:
        lines = ([f.check, f.state, f.detail] for f in findings)
    give_table(
        ("check", "state", "detail"), lines, words, {"state": lambda code: words.term("examined", code)}
    )
