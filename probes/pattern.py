"""Patterns: regular expressions that are compiled when they are first asked.

The probes have hundreds, of several languages each. Compiling them took half of the time of a command that
reads no page (1.5 of 3 seconds on a small machine, seen 2026-11), and of each worker that reads a few.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, cast


def pattern(source: str, flags: int = 0) -> re.Pattern[str]:
    """What `re.compile` gives, later: a fault in the source is told when it is first asked."""
    return cast("re.Pattern[str]", Later(source, flags))


class Later:
    """Stands for a pattern; what it is asked once is from then on its own, and costs no more than there."""

    def __init__(self, source: str, flags: int) -> None:
        self._source = source
        self._flags = flags

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self._source, self._flags)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self._compiled, name)
        setattr(self, name, found)
        return found
