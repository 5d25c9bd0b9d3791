"""`registry import`, `export` and `validate`: the coordinator's spreadsheet, in and out."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from auditor.commands.files import format_of, give_bytes, refuse_long, write
from auditor.commands.session import Json, clock, session
from auditor.errors import InputError
from auditor.output import document, give, give_table, say

if TYPE_CHECKING:
    from auditor.problems import Problem
    from auditor.registry import Reading
    from auditor.wording import Wording
    from storage.registry import Changes

registry = typer.Typer(no_args_is_help=True, help="The spreadsheet of associations and their links.")
SheetFile = Annotated[Path, typer.Argument(metavar="SHEET", help="A CSV or XLSX file.")]
PROBLEM = ("line", "column", "problem", "severity", "value")


@registry.command("validate")
def validate(context: typer.Context, sheet: SheetFile, as_json: Json = False) -> None:
    """Tell every problem of a sheet with its line and column; change nothing."""
    from auditor.registry import read

    asked = session(context)
    reading = read(sheet, asked.config().network.language)
    if as_json:
        give(document((problem.item() for problem in reading.problems), clock()))
    elif reading.problems:
        _give_problems(reading.problems, asked.words)
    if not asked.quiet:
        say(_counted(reading, asked.words))
    if any(problem.severity == "error" for problem in reading.problems):
        raise typer.Exit(InputError.code)


@registry.command("import")
def import_(
    context: typer.Context,
    sheet: SheetFile,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would change; change nothing.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove what the sheet no longer lists, with all that was seen of it."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the registry what a sheet says. The same sheet again changes nothing."""
    from auditor.app import App

    asked = session(context)
    config = asked.config()
    reading = _filled(sheet, config.network.language)
    with App.open(config) as app:
        changes = app.store.save_registry(
            reading.associations, reading.accounts, clock(), prune=prune, dry_run=dry_run
        )
    if as_json:
        give(document([_receipt(reading, changes, dry_run=dry_run)], clock()))
        return
    for problem in reading.problems:
        say(problem.said(asked.words))
    if not asked.quiet:
        for line in _outcome(reading, changes, asked.words, dry_run=dry_run):
            say(line)


def _filled(sheet: Path, language: str) -> Reading:
    from auditor.registry import read

    reading = read(sheet, language)
    if not reading.associations:
        raise InputError(
            str(sheet), "it names no association, so nothing was changed", "fill the sheet first"
        )
    return reading


@registry.command("export")
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE|-", help="A .csv or .xlsx file, or - for here.")],
    *,
    form: Annotated[
        Literal["csv", "xlsx"] | None,
        typer.Option("--format", help="Otherwise as the file's name ends; here, CSV."),
    ] = None,
    bom: Annotated[bool, typer.Option(help="Begin CSV with the mark by which Excel knows UTF-8.")] = True,
    delimiter: Annotated[
        str, typer.Option(help="What parts the cells of CSV; French Excel wants a semicolon.")
    ] = ",",
) -> None:
    """Write the registry as a sheet that, imported again, changes nothing.

    With --lang its headings and words are in that language; English keys and codes otherwise.
    """
    from auditor import roster, sheet
    from auditor.languages import direction

    asked = session(context)
    refuse_long(delimiter)
    target = None if str(file) == "-" else file
    written = format_of(form, target, ("csv", "xlsx"))
    words = asked.words if asked.lang else None
    with asked.open() as app:
        lines = list(roster.table(app.store.associations(), app.store.accounts(), words))
        mirrored = direction(asked.lang or app.config.network.language) == "rtl"
    if written == "xlsx":
        data = roster.workbook(lines, words, right_to_left=mirrored)
    else:
        data = sheet.to_csv(lines, bom=bom and target is not None, delimiter=delimiter)
    if target is None:
        give_bytes([data], is_text=written == "csv")
        return
    write([data], target)
    if not asked.quiet:
        say(f"{file}: {asked.words.count('{n} association', '{n} associations', len(lines) - 1)}")


def _give_problems(problems: list[Problem], words: Wording) -> None:
    lines = ([problem.item()[name] for name in PROBLEM] for problem in problems)
    say_as = {"problem": partial(words.term, "problem"), "severity": partial(words.term, "trouble")}
    give_table(PROBLEM, lines, words, say_as)


def _counted(reading: Reading, words: Wording) -> str:
    errors = sum(problem.severity == "error" for problem in reading.problems)
    return words.listed(
        [
            words.count("{n} association", "{n} associations", len(reading.associations)),
            words.count("{n} link", "{n} links", len(reading.accounts)),
            words.count("{n} error", "{n} errors", errors),
            words.count("{n} warning", "{n} warnings", len(reading.problems) - errors),
        ]
    )


def _receipt(reading: Reading, changes: Changes, *, dry_run: bool) -> dict[str, Any]:
    told = {key: list(map(_link, rows)) for key, rows in _by_kind(changes).items()}
    people = {key: list(ids) for key, ids in asdict(changes).items() if key.startswith("associations_")}
    return {
        "associations": len(reading.associations),
        "accounts": len(reading.accounts),
        "dry_run": dry_run,
        **told,
        **people,
        "problems": [problem.item() for problem in reading.problems],
    }


def _by_kind(changes: Changes) -> dict[str, tuple[Any, ...]]:
    names = ("added", "changed", "withdrawn", "pruned")
    return {name: getattr(changes, name) for name in names}


def _link(row: Any) -> dict[str, Any]:
    return {"association": row.association, "column": row.column, "typed": row.typed}


def _outcome(reading: Reading, changes: Changes, words: Wording, *, dry_run: bool) -> Iterator[str]:
    yield _counted(reading, words)
    for row in changes.withdrawn:
        yield words.pair(words.say("No longer listed, kept"), f"{row.association} {row.column}: {row.typed}")
    yield "; ".join(_changed(changes, words)) or words.say("nothing changed")
    if dry_run:
        yield words.say("this is what would be: nothing was written")
    elif changes.withdrawn:
        yield words.say(
            "what is no longer listed is kept, not audited; {option} removes it and all that was seen of it",
            option="--prune",
        )


def _changed(changes: Changes, words: Wording) -> Iterator[str]:
    """What was added, changed, left out and removed: of each how many associations and links."""
    people = asdict(changes)
    for name, rows in _by_kind(changes).items():
        associations = len(people[f"associations_{name}"])
        parts = [
            words.count("{n} association", "{n} associations", associations) if associations else "",
            words.count("{n} link", "{n} links", len(rows)) if rows else "",
        ]
        if told := words.listed(filter(None, parts)):
            yield words.pair(words.term("outcome", name), told)
