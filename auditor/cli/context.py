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

from auditor.cli.output import say
from auditor.core import log_setup

if TYPE_CHECKING:
    from auditor.app import App
    from auditor.config.schema import Config
    from auditor.i18n.wording import Fact, Wording


@dataclass(frozen=True, slots=True)
class Session:
    """The options that stand before or after any command."""

    config_path: Path | None = None
    quiet: bool = False
    debug: bool = False
    lang: str | None = None

    @property
    def language(self) -> str:
        """The language of what is told on a terminal: the one asked for, or the terminal's own."""
        from auditor.i18n.catalogs import spoken_by  # noqa: PLC0415  # Babel is not needed to print help

        return self.lang or spoken_by(os.environ)

    @property
    def words(self) -> Wording:
        """The words of that language."""
        from auditor.i18n.wording import Wording  # noqa: PLC0415  # Babel is not needed to print help

        return Wording(self.language)

    def tell(self, message: str, /, **facts: Fact) -> None:
        """Say how it went, beside the data, unless nothing is to be said but troubles."""
        if not self.quiet:
            say(self.words.say(message, **facts))

    def tell_count(self, one: str, several: str, n: int, /, **facts: Fact) -> None:
        """The same of something that is counted."""
        if not self.quiet:
            say(self.words.count(one, several, n, **facts))

    def config(self) -> Config:
        """The configuration; from now on events are told as it says. Raises ConfigError."""
        from auditor.config.schema import load  # noqa: PLC0415  # pydantic is not needed to print help

        read = load(self.config_path)
        log_setup.keep(read.log.format, read.log.level, debug=self.debug, quiet=self.quiet)
        return read

    def open(self) -> App:
        """The store, archive and the rest. Raises ConfigError."""
        from auditor.app import App  # noqa: PLC0415  # the database engine is not needed to print help

        return App.open(self.config())


def session(context: typer.Context) -> Session:
    """The session of a command's context."""
    found = context.find_root().obj
    return found if isinstance(found, Session) else Session()


def clock() -> datetime:
    """The wall clock: only commands, the web and the schedule read it."""
    return datetime.now(UTC)


Json = Annotated[bool, typer.Option("--json", help="Give JSON instead of a table.")]


YES = {"y", "yes", "o", "oui", "نعم"}


def may_ask() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def says_yes() -> bool:
    """Whether the next line that is typed is a yes, in any of our languages."""
    return sys.stdin.readline().strip().casefold() in YES
