"""One thing that the doctor looked at, and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.i18n.translator import MessageValue


@dataclass(frozen=True, slots=True)
class DiagnosticResult:
    """One thing that was looked at: `ok`, `warn` (works, but look at it) or `fail`.

    What it is about and what was found are messages with their facts.
    """

    check_template: str
    state: str
    detail_template: str
    params: Mapping[str, MessageValue] = field(default_factory=dict)

    @property
    def check(self) -> str:
        """What was looked at, in English."""
        return self.check_template.format(**self.params)

    @property
    def detail(self) -> str:
        """What was found, in English."""
        return self.detail_template.format(**self.params)

    def to_dict(self) -> dict[str, str]:
        """The item of `doctor --json`."""
        return {"check": self.check, "state": self.state, "detail": self.detail}


def build_diagnostic(
    check_template: str, state: str, detail_template: str, **params: MessageValue
) -> DiagnosticResult:
    """A finding with its facts."""
    return DiagnosticResult(check_template, state, detail_template, params)


def ok(check_template: str, detail_template: str, **params: MessageValue) -> DiagnosticResult:
    """What is in order."""
    return DiagnosticResult(check_template, "ok", detail_template, params)


def warning(check_template: str, detail_template: str, **params: MessageValue) -> DiagnosticResult:
    """What works, but should be looked at."""
    return DiagnosticResult(check_template, "warn", detail_template, params)


def failure(check_template: str, detail_template: str, **params: MessageValue) -> DiagnosticResult:
    """What does not work."""
    return DiagnosticResult(check_template, "fail", detail_template, params)
