"""`init` and `doctor`: a place to begin, and whether everything is in order."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.commands.session import Json, clock, session
from auditor.errors import ConfigError, InputError
from auditor.output import document, give, give_table, say

if TYPE_CHECKING:
    from auditor.doctor import Examined
    from auditor.wording import Wording


def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to write.")] = Path(),
) -> None:
    """Write a configuration and an empty sheet.

    What is there already is left as it is.
    """
    from auditor.config import packaged
    from auditor.roster import table
    from auditor.sheet import to_csv

    _put(folder / "config.toml", packaged().read_bytes())
    _put(folder / "registry.csv", to_csv(table([], [])))
    if not session(context).quiet:
        say(f"next: fill {folder / 'registry.csv'}, then `auditor registry import {folder / 'registry.csv'}`")


def _put(file: Path, data: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as new:
            new.write(data)
        say(f"{file}: written")
    except FileExistsError:
        say(f"{file}: already there, left as it is")
    except OSError as trouble:
        raise InputError(
            str(file), (trouble.strerror or "cannot be written").lower(), "another folder"
        ) from None


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Tell whether everything is in order.

    The installation, the configuration and the data are looked at; nobody is asked.
    """
    from auditor.doctor import examine

    asked = session(context)
    findings = list(examine(asked.config_path, clock()))
    if as_json:
        give(document((finding.item() for finding in findings), clock()))
    else:
        _give_findings(findings, asked.words)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(ConfigError.code)


def _give_findings(findings: Iterable[Examined], words: Wording) -> None:
    if sys.stdout.isatty():
        lines = ([words.say(f.about, **f.facts), f.state, words.say(f.message, **f.facts)] for f in findings)
    else:
        lines = ([f.check, f.state, f.detail] for f in findings)
    give_table(
        ("check", "state", "detail"), lines, words, {"state": lambda code: words.term("examined", code)}
    )
