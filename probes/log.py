"""The log, an event a line: a short fixed name to search and count by, a sentence to read, and its facts.

The standard library's logging carries them, so whatever listens to that hears them; `auditor.core.log_setup`
writes them down. No secret, no token and no person's address belongs in a fact: logs are read by many and
kept long.
"""

from __future__ import annotations

import logging
from typing import Any

RESERVED = frozenset({"time", "level", "event", "logger", "message", "error", "trace"})
"""What every line of JSON says besides; no fact is called so."""


class Events:
    """The log of a module. A method takes the event's name, its sentence, and the facts that fill it."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(name)

    def debug(self, event: str, sentence: str, /, **facts: Any) -> None:
        """What only somebody who looks for a fault wants to know."""
        self._tell(logging.DEBUG, event, sentence, facts)

    def info(self, event: str, sentence: str, /, **facts: Any) -> None:
        """What went as it should."""
        self._tell(logging.INFO, event, sentence, facts)

    def warning(self, event: str, sentence: str, /, **facts: Any) -> None:
        """What went on all the same, and somebody should know of."""
        self._tell(logging.WARNING, event, sentence, facts)

    def error(self, event: str, sentence: str, /, **facts: Any) -> None:
        """What did not go on."""
        self._tell(logging.ERROR, event, sentence, facts)

    def bug(self, bug: BaseException, event: str, sentence: str, /, **facts: Any) -> None:
        """A fault of our own, with its trace."""
        self._tell(logging.ERROR, event, sentence, facts, bug)

    def _tell(
        self, level: int, event: str, sentence: str, facts: dict[str, Any], bug: BaseException | None = None
    ) -> None:
        if self._log.isEnabledFor(level):
            told = {"event": event, "facts": facts}
            self._log.log(level, sentence.format_map(facts), exc_info=bug, extra=told, stacklevel=3)
