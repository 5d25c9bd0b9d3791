"""Structured logging: one event per line, with a fixed name, a sentence and its fields.

Records pass through the standard library's logging. `auditor.core.log_setup` formats them. Never
put a secret, a token or a personal address in a field: logs are read by many people and stored for
long. A field has none of the names that every line of JSON has: time, level, event, logger,
message, error, trace.
"""

import logging
from typing import Any


class EventLogger:
    """The logger of a module.

    Each method takes an event name, a message template and its fields.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, message: str, /, **fields: Any) -> None:
        """Log a detail that helps to diagnose a problem."""
        self._emit(logging.DEBUG, event, message, fields)

    def info(self, event: str, message: str, /, **fields: Any) -> None:
        """Log normal progress."""
        self._emit(logging.INFO, event, message, fields)

    def warning(self, event: str, message: str, /, **fields: Any) -> None:
        """Log a problem that did not stop the work but needs attention."""
        self._emit(logging.WARNING, event, message, fields)

    def error(self, event: str, message: str, /, **fields: Any) -> None:
        """Log a problem that stopped the work."""
        self._emit(logging.ERROR, event, message, fields)

    def exception(self, error: BaseException, event: str, message: str, /, **fields: Any) -> None:
        """Log a bug of this program, with its traceback."""
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
            self._logger.log(
                level,
                message.format_map(fields),
                exc_info=error,
                extra={"event": event, "fields": fields},
                stacklevel=3,
            )
