"""`registry import`, `export` and `validate`: the coordinator's spreadsheet, in and out."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from auditor.cli.context import Json, clock, may_ask, says_yes, session
from auditor.cli.decisions import Who, login
from auditor.cli.output import format_of, give, give_bytes, give_table, is_terminal, refuse_long, say, write
from auditor.core.errors import InputError
from auditor.core.formatting import document, stamp

if TYPE_CHECKING:
    from auditor.cli.context import Session
    from auditor.config.schema import Config
    from auditor.i18n.wording import Wording
    from auditor.registry.diff import Line, Revision
    from auditor.registry.importer import Known, Reading
    from auditor.registry.issues import Problem
    from storage.models.users import By, Change
    from storage.registry.diff import Changes

registry = typer.Typer(no_args_is_help=True, help="The spreadsheet of associations and their links.")
SheetFile = Annotated[Path, typer.Argument(metavar="SHEET", help="A CSV or XLSX file.")]
PROBLEM = ("line", "column", "problem", "severity", "value")
DIFFERENCE = ("association", "field", "change", "before", "after", "name")
TRAIL = ("at", "who", "source", "association", "field", "change", "before", "after")
KINDS = ("added", "changed", "withdrawn", "pruned")
SHOWN = 200
"""So many changes are shown before the question."""


@registry.command("validate")
def validate(context: typer.Context, sheet: SheetFile, as_json: Json = False) -> None:
    """Tell every problem of a sheet with its line and column; change nothing.

    It is read beside what is registered already, as an import reads it.
    """
    asked = session(context)
    reading = _read(sheet, asked.config())
    if as_json:
        give(document((problem.item() for problem in reading.problems), clock()))
    elif reading.problems:
        _give_problems(reading.problems, asked.words)
    if not asked.quiet:
        say(_counted(reading, asked.words))
    if any(problem.severity == "error" for problem in reading.problems):
        raise typer.Exit(InputError.code)


def _read(sheet: Path, config: Config) -> Reading:
    """A sheet with its problems, beside the registry where there is one."""
    from auditor.app import App
    from auditor.erasure import returned
    from auditor.registry.diff import revision
    from auditor.registry.importer import Known, read
    from storage.errors import MissingDatabaseError

    with suppress(MissingDatabaseError), App.open(config, create=False) as app:
        known = Known.of(app.store.members(), app.store.accounts())
        reading = read(sheet, config.network.language, known)
        reading.problems = [*revision(app.store, reading, clock()).problems, *returned(app, reading)]
        return reading
    return read(sheet, config.network.language)


@registry.command("import")
def import_(
    context: typer.Context,
    sheet: SheetFile,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would change; change nothing.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove what the sheet no longer lists, with all that was seen of it."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask on a terminal.")] = False,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Make the registry what a sheet says. The same sheet again changes nothing.

    An empty cell clears what was known; a column that the sheet does not have leaves it as it is.
    On a terminal it shows what would change and asks first.
    """
    from auditor.app import App
    from auditor.erasure import returned
    from auditor.registry.diff import revision, shared
    from auditor.registry.importer import Known

    asked = session(context)
    config = asked.config()
    with App.open(config) as app:
        known = Known.of(app.store.members(), app.store.accounts())
        reading = _filled(sheet, config.network.language, known)
        reading.problems += returned(app, reading)
        if dry_run:
            _show(revision(app.store, reading, clock(), prune=prune), asked, as_json=as_json)
            return
        agreed: str | None = None
        if not (yes or as_json or asked.quiet) and may_ask():
            draft = revision(app.store, reading, clock(), prune=prune)
            if draft.lines and not _agreed(draft, asked):
                return
            agreed = draft.digest
        changes = app.store.save_registry(
            reading.associations,
            reading.accounts,
            clock(),
            by=_by(who),
            said=reading.said,
            prune=prune,
            agreed=agreed,
        )
        if agreed not in {None, changes.digest}:
            raise InputError(str(sheet), "the registry changed meanwhile, so nothing was changed", "again")
    reading.problems += shared(reading, changes)
    if as_json:
        give(document([_receipt(reading, changes)], clock()))
        return
    if agreed is None or not changes:
        for problem in reading.problems:
            say(problem.said(asked.words))
    if not asked.quiet:
        told = _done(changes, asked.words) if agreed and changes else _outcome(reading, changes, asked.words)
        for line in told:
            say(line)


def _by(who: str | None) -> By:
    from storage.models.users import OPERATOR, By

    return By((who or "").strip() or login() or OPERATOR.who, OPERATOR.source)


def _show(draft: Revision, asked: Session, *, as_json: bool) -> None:
    """Tell what would change."""
    if as_json:
        give(document((line.item() for line in draft.lines), clock()))
        return
    for problem in draft.problems:
        say(problem.said(asked.words))
    _give_lines(draft.lines, asked.words)
    if not asked.quiet:
        for line in _outcome(draft.reading, draft.changes, asked.words):
            say(line)
        say(asked.words.say("this is what would be: nothing was written"))


def _agreed(draft: Revision, asked: Session) -> bool:
    """Show what would change and ask whether it shall."""
    words = asked.words
    for problem in draft.problems:
        say(problem.said(words))
    if told := draft.unsaid(words):
        say(told)
    _give_lines(draft.lines[:SHOWN], words)
    if (rest := len(draft.lines) - SHOWN) > 0:
        say(words.count("and {n} more change", "and {n} more changes", rest))
    if told := draft.leaving(words):
        say(told)
    say(words.say("Take this over into the registry? Type yes or no."))
    if says_yes():
        return True
    say(words.say("nothing changed"))
    return False


def _give_lines(lines: list[Line], words: Wording) -> None:
    is_told = is_terminal()
    rows = (
        (
            line.association,
            line.what(words) if is_told else line.field,
            line.kind,
            *(line.values(words) if is_told else (line.before, line.after)),
            line.name,
        )
        for line in lines
    )
    give_table(DIFFERENCE, rows, words, {"change": partial(words.term, "outcome")})


def _filled(sheet: Path, language: str, known: Known) -> Reading:
    from auditor.registry.importer import read

    reading = read(sheet, language, known)
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
    from auditor.i18n.catalogs import direction
    from auditor.registry import exporter, spreadsheet

    asked = session(context)
    refuse_long(delimiter)
    target = None if str(file) == "-" else file
    written = format_of(form, target, ("csv", "xlsx"))
    words = asked.words if asked.lang else None
    with asked.open() as app:
        mirrored = direction(asked.lang or app.config.network.language) == "rtl"
        lines, count = exporter.kept(app.store, words), app.store.registered()[0]
        if written == "xlsx":
            pieces = exporter.pieces(lines, words, right_to_left=mirrored)
        else:
            pieces = spreadsheet.csv_lines(lines, bom=bom and target is not None, delimiter=delimiter)
        if target is None:
            give_bytes(pieces, is_text=written == "csv")
            return
        write(pieces, target)
    if not asked.quiet:
        say(asked.words.pair(str(file), asked.words.count("{n} association", "{n} associations", count)))


@registry.command("trail")
def trail(
    context: typer.Context,
    association: Annotated[str | None, typer.Option(help="Only this association's, by its id.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="So many changes, the newest.")] = 1000,
    as_json: Json = False,
) -> None:
    """Tell who changed what in the registry, the newest first; of what was removed, too."""
    asked = session(context)
    with asked.open() as app:
        changes = app.store.trail(association, limit=most)
    if as_json:
        give(document(map(_entry, changes), clock()))
    else:
        _give_trail(changes, asked.words, app.config.network.zone)


def _entry(change: Change) -> dict[str, Any]:
    """A change as JSON has it."""
    return {
        "at": change.at,
        "who": change.who,
        "source": change.source,
        "association": change.association,
        "field": change.field,
        "change": change.kind,
        "before": change.before,
        "after": change.after,
    }


def _give_trail(changes: list[Change], words: Wording, zone: str) -> None:
    is_told = is_terminal()
    rows = (
        {**_entry(one), "at": stamp(one.at), **(_spoken(one, words, zone) if is_told else {})}
        for one in changes
    )
    say_as = {"change": partial(words.term, "outcome"), "source": partial(words.term, "changed_by")}
    give_table(TRAIL, ([row[name] for name in TRAIL] for row in rows), words, say_as)


def _spoken(change: Change, words: Wording, zone: str) -> dict[str, str]:
    from auditor.registry.diff import Line

    line = Line.of(change, "")
    before, after = line.values(words)
    who = words.label("actor", change.who) if change.who == "operator" else change.who
    at, field = words.moment(change.at, zone), line.what(words)
    return {"at": at, "who": who, "field": field, "before": before, "after": after}


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


def _receipt(reading: Reading, changes: Changes) -> dict[str, Any]:
    told = {key: list(map(_link, rows)) for key, rows in _by_kind(changes).items()}
    people = {f"associations_{kind}": list(_people(changes, kind)) for kind in KINDS}
    return {
        "associations": len(reading.associations),
        "accounts": len(reading.accounts),
        "dry_run": False,
        **told,
        **people,
        "unsaid": list(changes.unsaid),
        "problems": [problem.item() for problem in reading.problems],
    }


def _by_kind(changes: Changes) -> dict[str, tuple[Any, ...]]:
    return {kind: getattr(changes, kind) for kind in KINDS}


def _people(changes: Changes, kind: str) -> tuple[str, ...]:
    found: tuple[str, ...] = getattr(changes, f"associations_{kind}")
    return found


def _link(row: Any) -> dict[str, Any]:
    return {"association": row.association, "column": row.column, "typed": row.typed}


def _outcome(reading: Reading, changes: Changes, words: Wording) -> Iterator[str]:
    from auditor.registry import exporter
    from auditor.registry.columns import LINKS
    from auditor.registry.diff import unsaid

    yield _counted(reading, words)
    if told := unsaid(changes, words):
        yield told
    for row in changes.withdrawn:
        what = words.listed([row.association, exporter.heading(row.column or LINKS, words), row.typed])
        yield words.pair(words.say("No longer listed, kept"), what)
    yield from _done(changes, words)


def _done(changes: Changes, words: Wording) -> Iterator[str]:
    """What came of it, where all else was shown before."""
    yield from _changed(changes, words) if changes else [words.say("nothing changed")]
    if changes.withdrawn:
        yield words.say(
            "what is no longer listed is kept, not audited; {option} removes it and all that was seen of it",
            option="--prune",
        )


def _changed(changes: Changes, words: Wording) -> Iterator[str]:
    """What was added, changed, left out and removed: of each how many associations and links."""
    for name, rows in _by_kind(changes).items():
        associations = len(_people(changes, name))
        parts = [
            words.count("{n} association", "{n} associations", associations) if associations else "",
            words.count("{n} link", "{n} links", len(rows)) if rows else "",
        ]
        if told := words.listed(filter(None, parts)):
            yield words.pair(words.term("outcome", name), told)
