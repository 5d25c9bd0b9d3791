"""Lists every command of the command line, and arguments of those that list rows."""

from collections.abc import Iterator

import click
import typer

from auditor.cli.main import build_command_line

TYPED = {
    "status": ((),),
    "gaps": ((), ("--association", "nour"), ("--channel", "facebook")),
    "report": ((), *((one,) for one in ("nour", "amal", "long", "bare"))),
    "registry validate": (("sheet.csv",),),
    "registry history": ((),),
    "registry show-data": (("nour",),),
    "decide list": ((), ("--association", "bare")),
    "digest subscriptions": ((),),
    "report-links list": ((),),
    "user list": ((),),
}
"""Arguments of commands that list stored rows."""


def commands() -> list[str]:
    """Return the names of all commands, also of groups that are commands themselves."""
    return sorted(_under(typer.main.get_command(build_command_line()), ()))


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Yield the name and object of every group and command, and of the program itself."""
    return _all_under(typer.main.get_command(build_command_line()), ())


def _all_under(
    command: click.Command, words: tuple[str, ...]
) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(words), command
    for name, subcommand in getattr(command, "commands", {}).items():
        yield from _all_under(subcommand, (*words, name))


def _under(command: click.Command, words: tuple[str, ...]) -> Iterator[str]:
    subcommands = getattr(command, "commands", {})
    if not subcommands or command.invoke_without_command:
        yield " ".join(words)
    for name, subcommand in subcommands.items():
        yield from _under(subcommand, (*words, name))
