"""The result of one check of `auditor doctor`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.i18n.translator import MessageValue


@dataclass(frozen=True, slots=True)
class DiagnosticResult:
    """One check and its state: `ok`, `warn` (works, but needs attention) or `fail`.

    `check_template` says what was checked and `detail_template` the result. Both are translatable
    messages, formatted with `params`.
    """

    check_template: str
    state: str
    detail_template: str
    params: Mapping[str, MessageValue] = field(default_factory=dict)

    @property
    def check(self) -> str:
        """Return what was checked, in English."""
        return self.check_template.format(**self.params)

    @property
    def detail(self) -> str:
        """Return the result, in English."""
        return self.detail_template.format(**self.params)

    def to_dict(self) -> dict[str, str]:
        """Return the item of `doctor --json`."""
        return {"check": self.check, "state": self.state, "detail": self.detail}


def build_diagnostic(
    check_template: str, state: str, detail_template: str, **params: MessageValue
) -> DiagnosticResult:
    """Return a result with a computed state."""
    return DiagnosticResult(check_template, state, detail_template, params)


def ok(check_template: str, detail_template: str, **params: MessageValue) -> DiagnosticResult:
    """Return the result of a check without problems."""
    return DiagnosticResult(check_template, "ok", detail_template, params)


def warning(check_template: str, detail_template: str, **params: MessageValue) -> DiagnosticResult:
    """Return the result of a check of something that works, but needs attention."""
    return DiagnosticResult(check_template, "warn", detail_template, params)


def failure(check_template: str, detail_template: str, **params: MessageValue) -> DiagnosticResult:
    """Return the result of a check of something that does not work."""
    return DiagnosticResult(check_template, "fail", detail_template, params)
