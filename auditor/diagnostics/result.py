"""One thing that the doctor looked at, and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.i18n.wording import Fact


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that was looked at: `ok`, `warn` (works, but look at it) or `fail`.

    What it is about and what was found are messages with their facts.
    """

    about: str
    state: str
    message: str
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def check(self) -> str:
        """What was looked at, in English."""
        return self.about.format(**self.facts)

    @property
    def detail(self) -> str:
        """What was found, in English."""
        return self.message.format(**self.facts)

    def item(self) -> dict[str, str]:
        """The item of `doctor --json`."""
        return {"check": self.check, "state": self.state, "detail": self.detail}


def found(about: str, state: str, message: str, **facts: Fact) -> Examined:
    """A finding with its facts."""
    return Examined(about, state, message, facts)


def fine(about: str, message: str, **facts: Fact) -> Examined:
    """What is in order."""
    return Examined(about, "ok", message, facts)


def odd(about: str, message: str, **facts: Fact) -> Examined:
    """What works, but should be looked at."""
    return Examined(about, "warn", message, facts)


def broken(about: str, message: str, **facts: Fact) -> Examined:
    """What does not work."""
    return Examined(about, "fail", message, facts)
