"""Settings of all command groups, and help texts that begin with examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

F = TypeVar("F", bound=Callable[..., Any])

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
