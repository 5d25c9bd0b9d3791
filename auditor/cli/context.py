"""What every command knows of how it was started: the configuration, how much to say, what time it is.

Asking somebody on a terminal whether a thing shall be done.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.output import print_message
from auditor.core import log_setup

if TYPE_CHECKING:
    from auditor.app import App
    from auditor.config.schema import Config
    from auditor.i18n.translator import MessageValue, Translator


@dataclass(frozen=True, slots=True)
class CliContext:
    """The options that stand before or after any command."""

    config_path: Path | None = None
    quiet: bool = False
    debug: bool = False
    requested_language: str | None = None

    @property
    def language(self) -> str:
        """The language of what is told on a terminal: the one asked for, or the terminal's own."""
        from auditor.i18n.catalogs import (  # noqa: PLC0415
            detect_terminal_language,
        )  # Babel is not needed to print help

        return self.requested_language or detect_terminal_language(os.environ)

    @property
    def translator(self) -> Translator:
        """The words of that language."""
        from auditor.i18n.translator import Translator  # noqa: PLC0415  # Babel is not needed to print help

        return Translator(self.language)

    def print_translated(self, message: str, /, **facts: MessageValue) -> None:
        """Say how it went, beside the data, unless nothing is to be said but troubles."""
        if not self.quiet:
            print_message(self.translator.translate(message, **facts))

    def print_translated_count(
        self, singular: str, plural: str, n: int, /, **facts: MessageValue
    ) -> None:
        """The same of something that is counted."""
        if not self.quiet:
            print_message(self.translator.translate_plural(singular, plural, n, **facts))

    def load_config(self) -> Config:
        """The configuration; from now on events are told as it says. Raises ConfigError."""
        from auditor.config.schema import load_config  # noqa: PLC0415  # pydantic is not needed to print help

        read = load_config(self.config_path)
        log_setup.configure_logging(
            read.log.format, read.log.level, debug=self.debug, quiet=self.quiet
        )
        return read

    def open_app(self) -> App:
        """The store, archive and the rest. Raises ConfigError."""
        from auditor.app import App  # noqa: PLC0415  # the database engine is not needed to print help

        return App.open(self.load_config())


def get_cli_context(context: typer.Context) -> CliContext:
    """The session of a command's context."""
    found = context.find_root().obj
    return found if isinstance(found, CliContext) else CliContext()


def get_current_time() -> datetime:
    """The wall clock: only commands, the web and the schedule read it."""
    return datetime.now(UTC)


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


YES_ANSWERS = {"y", "yes", "o", "oui", "نعم"}


def can_prompt() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def read_confirmation() -> bool:
    """Whether the next line that is typed is a yes, in any of our languages."""
    return sys.stdin.readline().strip().casefold() in YES_ANSWERS
