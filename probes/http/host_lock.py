"""Whose turn it is with a host, where several processes ask the same web: never two of them at once."""

from __future__ import annotations

from typing import Protocol


class TurnError(Exception):
    """Nobody can tell whose turn it is. Nothing may be asked then, so the run ends."""


class Turns(Protocol):
    """What processes agree by. Within one, a host's own lock and clock serve."""

    async def take(self, host: str) -> float:
        """Wait until no other process asks the host; for how many seconds it is still to rest.

        Raises TurnError.
        """
        ...

    async def give(self, host: str, rest: float) -> None:
        """End the turn that was taken; the host rests so many seconds from now. Raises TurnError."""
        ...

    async def rest(self, host: str, seconds: float) -> None:
        """Tell the others that the host asked for quiet, for so many seconds from now. Raises TurnError."""
        ...


class Alone:
    """The turns of a process that has the web to itself."""

    async def take(self, host: str) -> float:  # noqa: ARG002  # the protocol's
        """It is always its turn."""
        return 0.0

    async def give(self, host: str, rest: float) -> None:
        """Nobody waits."""

    async def rest(self, host: str, seconds: float) -> None:
        """Nobody else asks."""
