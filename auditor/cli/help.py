"""The settings that all groups of commands share, and help texts that begin with examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

F = TypeVar("F", bound=Callable[..., Any])

SETTINGS: dict[str, Any] = {
    "rich_markup_mode": None,  # markup would take words in square brackets out of help texts
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


def make_group(text: str, **settings: Any) -> typer.Typer:
    """Return a group of commands, with `text` as its help."""
    return typer.Typer(help=text, **{"no_args_is_help": True, **SETTINGS, **settings})


def examples(*lines: str) -> Callable[[F], F]:
    """Name one or two commands that the help of a command shows before its text."""

    def mark(command: F) -> F:
        vars(command)["examples"] = lines
        return command

    return mark


def show_examples(group: typer.Typer) -> None:
    """Make the help of every command of a group show its examples."""
    for command in group.registered_commands:
        command.cls = CommandWithExamples


def write_examples(callback: Callable[..., Any] | None, formatter: Any) -> None:
    """Write the examples of a command, if it has some, to its help."""
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
