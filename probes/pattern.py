"""Patterns: regular expressions that are compiled when they are first asked.

The probes have hundreds, of several languages each. Compiling them took half of the time of a command that
reads no page (1.5 of 3 seconds on a small machine, seen 2026-11). Workers that read pages inherit them
compiled (probes/preloaded.py), so that none of it counts against a page.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, cast

MADE: list[Later] = []
"""All of them: they are made when modules are loaded, and in no function."""


def pattern(source: str, flags: int = 0) -> re.Pattern[str]:
    """What `re.compile` gives, later. A fault in the source is told when it is first asked."""
    made = Later(source, flags)
    MADE.append(made)
    return cast("re.Pattern[str]", made)


def compile_all() -> None:
    """Compile those of every module that is loaded by now."""
    for made in MADE:
        made.search("")


class Later:
    """Stands for a pattern; what it is asked once is from then on its own, and costs no more than there."""

    def __init__(self, source: str, flags: int) -> None:
        self.pattern = source
        self._flags = flags

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The pattern itself."""
        return re.compile(self.pattern, self._flags)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self.compiled, name)
        setattr(self, name, found)
        return found
