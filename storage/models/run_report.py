"""The run report: the public summary of a run.

The field names are the keys of the public JSON document. A report states only some of them: a key
that is not set is left out of the document. The report of a run that continues has what the next
session of the run needs: warnings, counts and costs.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from probes.models.finding import Presence, Reason

PROBES_CRASHED = "more than half of the probes crashed"
"""Value of `interrupted_because` if the auditor itself failed. No schedule resumes such a run."""


class ReportPart(BaseModel):
    """A part of the run report."""

    model_config = ConfigDict(frozen=True)

    def get_stated_values(self) -> dict[str, Any]:
        """Return the values that this part states, by field name."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class CanaryResult(ReportPart):
    """The result of one canary."""

    channel: str
    link: str
    exists: bool
    presence: Presence
    reason: Reason | None


class RulesVersion(ReportPart):
    """The version of the rule engine, and the hash of the configured rules."""

    version: int
    hash: str


class OtherHosts(ReportPart):
    """The requests to hosts that the report does not name."""

    hosts: int = 0
    requests: int = 0


class ApiUsage(ReportPart):
    """The cost of an API in its own unit, and why it refused further requests, if it did."""

    requests: int = 0
    skipped: int = 0
    cost: int | float = 0
    unit: str = ""
    budget: int | float = 0
    closed_because: str | None = None


class OpenedCircuit(ReportPart):
    """A platform that refused requests: the reason, and the accounts that were skipped."""

    reason: Reason
    skipped: int = 0
    first_account_id: int | None = None


class RunCosts(ReportPart):
    """The costs of all sessions of a run so far, and the platforms that refused requests."""

    requests: int | None = None
    retries: int = 0
    requests_by_host: Mapping[str, int] = {}
    requests_other_hosts: OtherHosts = OtherHosts()
    seconds: int | float = 0
    apis: Mapping[str, ApiUsage] = {}
    opened_circuits: Mapping[str, OpenedCircuit] = {}


class RunReport(RunCosts):
    """The public summary of a run. A value is None, or empty, if the report does not state it.

    `accounts_due` is the number of accounts to check, `not_reached` of those that were not checked.
    A run in progress checks `second_pass_accounts` failed accounts again at `second_pass_at`.
    `unreliable_channels` have their reasons, and `canary_warnings` those of earlier sessions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: date | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    state: str | None = None
    interrupted_because: str | None = None
    skipped_because: str | None = None

    canaries: tuple[CanaryResult, ...] = ()
    canary_warnings: Mapping[str, str] = {}
    unreliable_channels: Mapping[str, str] | None = None

    accounts_due: int | None = None
    second_pass_at: datetime | None = None
    second_pass_accounts: int | None = None
    accounts: int | None = None
    present: int | None = None
    absent: int | None = None
    unknown: int | None = None
    channels: Mapping[str, Mapping[str, int]] = {}
    not_reached: int | None = None
    not_reached_by_channel: Mapping[str, int] = {}
    opened_gaps: int | None = None
    closed_gaps: int | None = None
    opened_by_code: Mapping[str, int] = {}
    closed_by_code: Mapping[str, int] = {}

    software: str | None = None
    rules: RulesVersion | None = None
    score: int | None = None
    probes: Mapping[str, int] = {}
    proxy: bool | None = None
    allow_networks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the public document with the values that the report states."""
        return self.model_dump(mode="json", exclude_unset=True)

    def compute_hash(self) -> str:
        """Return the hash of the public document, which the digest mails state."""
        return hash_canonical_json(self.to_json())

    def count_by_presence(self) -> dict[Presence, int]:
        """Return the number of checked accounts by presence."""
        return {
            Presence.PRESENT: self.present or 0,
            Presence.ABSENT: self.absent or 0,
            Presence.UNKNOWN: self.unknown or 0,
        }

    def with_values(self, **values: Any) -> Self:
        """Return the report with other values. Raises ValidationError for an unknown field."""
        return type(self)(**{**self.get_stated_values(), **values})


def hash_canonical_json(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of a value: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
