"""The log, an event a line: a short fixed name to search and count by, a sentence to read, and its facts.

The standard library's logging carries them, so whatever listens to that hears them; `auditor.core.log_setup`
writes them down. No secret, no token and no person's address belongs in a fact: logs are read by many and
kept long.
"""

from __future__ import annotations

import logging
from typing import Any

RESERVED_FIELDS = frozenset({"time", "level", "event", "logger", "message", "error", "trace"})
"""What every line of JSON says besides; no fact is called so."""


class EventLogger:
    """The log of a module. A method takes the event's name, its sentence, and the facts that fill it."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, message: str, /, **fields: Any) -> None:
        """What only somebody who looks for a fault wants to know."""
        self._emit(logging.DEBUG, event, message, fields)

    def info(self, event: str, message: str, /, **fields: Any) -> None:
        """What went as it should."""
        self._emit(logging.INFO, event, message, fields)

    def warning(self, event: str, message: str, /, **fields: Any) -> None:
        """What went on all the same, and somebody should know of."""
        self._emit(logging.WARNING, event, message, fields)

    def error(self, event: str, message: str, /, **fields: Any) -> None:
        """What did not go on."""
        self._emit(logging.ERROR, event, message, fields)

    def exception(self, error: BaseException, event: str, message: str, /, **fields: Any) -> None:
        """A fault of our own, with its trace."""
        self._emit(logging.ERROR, event, message, fields, error)

    def _emit(
        self,
        level: int,
        event: str,
        message: str,
        fields: dict[str, Any],
        error: BaseException | None = None,
    ) -> None:
        if self._logger.isEnabledFor(level):
            told = {"event": event, "facts": fields}
            self._logger.log(
                level, message.format_map(fields), exc_info=error, extra=told, stacklevel=3
            )
