"""Shared parts of all commands: options, configuration, current time, prompts, lists, help."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from auditor.cli.output import TableFormat, print_json, print_message, print_table
from auditor.core import log_setup, runtime

if TYPE_CHECKING:
    from auditor.app import App
    from auditor.config.schema import Config
    from auditor.core.i18n.translator import Translator


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FormatOption = Annotated[
    TableFormat | None,
    typer.Option(
        "--format",
        help="Print a table with words, tab-separated values with codes, or JSON. The default is "
        "table on a terminal, also through a pager, and tsv without one.",
    ),
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="Show at most this many rows.")
]
AuthorOption = Annotated[
    str | None, typer.Option("--author", help="Record this author. The default is your login name.")
]
OUTPUT_FORMAT_OPTION = typer.Option(
    "--format", help="Write this format. The default is the extension of the file, or CSV."
)
BomOption = Annotated[
    bool, typer.Option(help="Begin CSV with a byte order mark, so Excel detects UTF-8.")
]
DelimiterOption = Annotated[
    str,
    typer.Option(help="Separate CSV cells with this character. French Excel expects a semicolon."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would change, without changing anything.")
]
AssociationOption = Annotated[
    str | None, typer.Option(help="Show only this association, by its id.")
]
SpreadsheetArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SPREADSHEET", readable=False, help="CSV, XLSX, ODS or XLS file to read."
    ),
]
ColumnOption = Annotated[
    list[str],
    typer.Option(
        "--column",
        metavar="HEADING=FIELD",
        help="Read the column with this heading as this field, such as Nombre=name, or as ignore.",
    ),
]

INTERRUPTED_EXIT_CODE = 130
"""The exit code of a command that Ctrl-C or SIGTERM ended, as a shell reports SIGINT."""

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CliContext:
    """The common options of a command, and what follows from them: language, output and App.

    Only what associations read follows the language. Messages to operators are in English.
    """

    config_path: Path | None = None
    quiet: bool = False
    debug: bool = False
    requested_language: str | None = None

    @property
    def language(self) -> str:
        """The language of lists and reports: that of `--lang`, else that of the terminal."""
        # Babel is not needed to print help
        from auditor.core.i18n.catalogs import detect_terminal_language  # noqa: PLC0415

        return self.requested_language or detect_terminal_language(os.environ)

    @property
    def requested_translator(self) -> Translator | None:
        """Return the translator of the option --lang, or None without it."""
        # Babel is not needed to print help
        from auditor.core.i18n.translator import Translator  # noqa: PLC0415

        return Translator(self.requested_language) if self.requested_language else None

    def print_note(self, message: str) -> None:
        """Print a message on standard error, unless the command is quiet."""
        if not self.quiet:
            print_message(message)

    def load_config(self) -> Config:
        """Load the configuration and set up the log as it says. Raises ConfigError."""
        # pydantic is not needed to print help
        from auditor.config.schema import load_config  # noqa: PLC0415

        config = load_config(self.config_path)
        runtime.resume_garbage_collection()
        log_setup.configure_logging(
            config.log.format, config.log.level, debug=self.debug, quiet=self.quiet
        )
        return config

    def open_app_for_reading(self, config: Config | None = None) -> App:
        """Open the database, without creating or upgrading it.

        Loads the configuration, unless the command gives the one that it has loaded.

        Raises ConfigError, and StoreError if there is no database or if it has an older schema.
        """
        return self.open_app(config, upgrade=False)

    def open_app(self, config: Config | None = None, *, upgrade: bool = True) -> App:
        """Open the database and evidence, and upgrade the database.

        Loads the configuration, unless the command gives the one that it has loaded.

        Raises ConfigError, and StoreError if there is no database: a command in a wrong folder
        would create an empty one there.
        """
        # the database engine is not needed to print help
        from auditor.app import App  # noqa: PLC0415
        from storage.errors import MissingDatabaseError  # noqa: PLC0415

        config = config or self.load_config()
        try:
            return App.open(config, create=False, upgrade=upgrade)
        except MissingDatabaseError as error:
            file = self._find_config_file()
            error.reason = f"{error.reason} (configuration: {file or 'built-in example'})"
            raise

    def explain_empty_result(self, shown_count: int, config: Config) -> None:
        """Print which configuration and database were read if nothing was shown."""
        # the database engine is not needed to print help
        from storage.database.engine import describe_database  # noqa: PLC0415

        if shown_count == 0:
            file, database = self._find_config_file(), describe_database(config.storage.url)
            place = f"configuration: {file or 'built-in example'}, database: {database}"
            self.print_note(f"nothing to show; {place}")

    def _find_config_file(self) -> Path | None:
        # pydantic is not needed to print help
        from auditor.config.schema import find_config_file  # noqa: PLC0415

        file = find_config_file(self.config_path, os.environ)
        return file.absolute() if file else None


def get_cli_context(context: typer.Context) -> CliContext:
    """Return the common options of a command."""
    root_object = context.find_root().obj
    return root_object if isinstance(root_object, CliContext) else CliContext()


def limit_rows(context: typer.Context, rows: Iterable[T], limit: int | None) -> Iterator[T]:
    """Yield the first `limit` rows, or all if it is None.

    If rows are left out, a message says so at the end of the command, below the list.
    """
    for row_count, row in enumerate(rows):
        if row_count == limit:
            shown = "row is" if limit == 1 else f"{limit} rows are"
            note = f"Only the first {shown} shown; a larger --limit shows more."
            context.call_on_close(partial(get_cli_context(context).print_note, note))
            return
        yield row


def show_list(
    context: typer.Context,
    items: Iterable[Mapping[str, Any]],
    columns: tuple[str, ...],
    table_format: TableFormat,
    *,
    config: Config,
    limit: int | None = None,
    build_row: Callable[[Mapping[str, Any]], Mapping[str, object]] = dict,
    **table_options: Any,
) -> None:
    """Print items as JSON, or their rows as a table or tab-separated values.

    If there are none, a message names the configuration and the database that were read.
    """
    shown = list(limit_rows(context, items, limit))
    get_cli_context(context).explain_empty_result(len(shown), config)
    if table_format == "json":
        print_json(shown, get_current_time())
    else:
        print_table(columns, map(build_row, shown), table_format, **table_options)


def get_current_time() -> datetime:
    """Return the current time in UTC.

    Only commands, the web pages and the scheduler read the clock. Other code has `now` as an
    argument.
    """
    return datetime.now(UTC)


YES_ANSWERS = {"y", "yes", "o", "oui", "نعم"}
"""Answers that mean yes, in English, French and Arabic."""


def can_prompt() -> bool:
    """Return whether the command runs on a terminal, where a user can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def read_confirmation() -> bool:
    """Read a line from standard input and return whether it means yes."""
    return sys.stdin.readline().strip().casefold() in YES_ANSWERS


SETTINGS: dict[str, Any] = {
    "rich_markup_mode": None,  # markup would remove words in square brackets from help texts
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


def make_group(text: str, **settings: Any) -> typer.Typer:
    """Return a group of commands with this help text. `settings` are arguments of `Typer`."""
    return typer.Typer(help=text, **{"no_args_is_help": True, **SETTINGS, **settings})


def examples(*lines: str) -> Callable[[F], F]:
    """Decorate a command with one or two examples, which its help shows before its text."""

    def mark(command: F) -> F:
        vars(command)["examples"] = lines
        return command

    return mark


def show_examples(group: typer.Typer) -> None:
    """Make all commands of a group show their examples in their help."""
    for command in group.registered_commands:
        command.cls = CommandWithExamples


def write_examples(callback: Callable[..., Any] | None, formatter: Any) -> None:
    """Write the examples of a command to its help, if it has any."""
    lines = getattr(callback, "examples", ())
    if not lines:
        return
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text("Examples:")
        with formatter.indentation():
            for line in lines:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class CommandWithExamples(TyperCommand):
    """A command whose help begins with its examples."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, then the text."""
        write_examples(self.callback, formatter)
        super().format_help_text(ctx, formatter)


class GroupWithExamples(TyperGroup):
    """A group of commands whose help begins with its examples."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, then the text."""
        write_examples(self.callback, formatter)
        super().format_help_text(ctx, formatter)
