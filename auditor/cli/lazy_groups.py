"""Groups of commands that are made when one of theirs is asked for: `auditor --help` names the group alone.

Typer makes every command of every group whatever was typed, each with its options and their types: half of
what a command takes to start.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

import typer
from typer.core import TyperGroup


def later(group: typer.Typer) -> tuple[typer.Typer, type[TyperGroup]]:
    """For `add_typer`: what a group says of itself, and the class that makes its commands later."""
    face = typer.Typer()
    face.info, face.registered_callback = group.info, group.registered_callback

    @lru_cache(maxsize=1)
    def made() -> MutableMapping[str, Any]:
        return typer.main.get_group(group).commands

    class Later(TyperGroup):
        """The group, whose commands are made once."""

        @property
        def commands(self) -> MutableMapping[str, Any]:
            """By name."""
            return made()

        @commands.setter
        def commands(self, none: MutableMapping[str, Any]) -> None:
            """What the face has, which is nothing."""

    return face, Later
