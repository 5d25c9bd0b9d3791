"""The data of audits: the registry, runs, observations, statuses, gaps and decisions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from probes.models.finding import (
    Activity,
    FactValue,
    Finding,
    FoundLink,
    Identity,
    Presence,
    Reason,
)
from storage.models.run_report import PROBES_CRASHED, RunReport

SEVERITIES = ("urgent", "high", "medium", "low", "info")
"""The severities of gaps, the most severe first."""


class GapKind(StrEnum):
    """The meaning of a gap for a coordinator, in the order of lists."""

    BROKEN = "broken"
    """Something that worked does not work, and visitors see it."""
    SILENT = "silent"
    """The account is there, but nothing is published."""
    IMPROVE = "improve"
    """The account works and could be better."""
    NO_ACCOUNT = "no_account"
    """The association has no account on the channel: a matter for the year, not for the day."""


GAP_KINDS = tuple(GapKind)


def compute_gap_rank(kind: GapKind, severity: str) -> int:
    """Return the position of a gap in lists, from 0: by kind, then the most severe first."""
    return GAP_KINDS.index(kind) * len(SEVERITIES) + SEVERITIES.index(severity)


LINKS_COLUMN = "links"
"""Column for links of any channel, such as "other networks"."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A registered account or link: the typed text, its column, and the account it identifies.

    `id` is 0 until it is stored. `withdrawn_at` is set when an import no longer lists it. It is
    then kept and reported; only an import with `--prune` removes it.
    """

    association: str
    typed_text: str
    identity: Identity
    column: str = LINKS_COLUMN
    id: int = 0
    added_at: datetime | None = None
    withdrawn_at: datetime | None = None

    @property
    def channel(self) -> str:
        """The channel of the account."""
        return self.identity.channel

    @property
    def subject(self) -> str:
        """The text that distinguishes the account on its channel: its key, or what was typed."""
        return self.identity.key or self.typed_text


ARABIC_LETTER = re.compile("[\u0621-\u064a]")


def choose_name(language: str, name: str, name_ar: str | None, name_fr: str | None) -> str:
    """Return the name in a language, or `name` if there is none.

    English takes the French name for one in Arabic letters.
    """
    is_latin_wanted = language == "en" and ARABIC_LETTER.search(name)
    return {"ar": name_ar, "fr": name_fr, "en": is_latin_wanted and name_fr}.get(language) or name


@dataclass(frozen=True, slots=True)
class Association:
    """An association of the network. `id` is the coordinator's own key, stable over imports.

    `name` is displayed in languages for which there is no other name. `language` is `ar`, `fr` or
    `en`. `none_by_choice` lists the channels that the association decided not to have.
    `contact_methods` are those of `CONTACT_METHODS` that are known, without the address or number.
    """

    id: str
    name: str
    name_ar: str | None = None
    name_fr: str | None = None
    region: str | None = None
    city: str | None = None
    language: str = "ar"
    tags: tuple[str, ...] = ()
    none_by_choice: tuple[str, ...] = ()
    contact_methods: frozenset[str] = field(default=frozenset(), compare=False)

    def display_name(self, language: str) -> str:
        """Return the name in a language, or `name` if there is none."""
        return choose_name(language, self.name, self.name_ar, self.name_fr)


CONTACT_METHODS = ("email", "phone")
"""The fields of a contact by which an association can be reached."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Phone and mail of an association, the person who runs its channels, and a note.

    It is personal data: it is stored apart from the association, read only where it is needed, and
    can be erased alone.
    """

    email: str | None = None
    phone: str | None = None
    media_officer: str | None = None
    note: str | None = None

    def __bool__(self) -> bool:
        return any(astuple(self))


EMPTY_CONTACT = Contact()
CONTACT_FIELDS = tuple(asdict(EMPTY_CONTACT))
ASSOCIATION_FIELDS = tuple(
    field.name for field in fields(Association) if field.name not in {"id", "contact_methods"}
)
RegistryValue = str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class AssociationEntry:
    """An association with its contact: a whole row of the registry's spreadsheet.

    `withdrawn_at` is when its network stopped following it: it is kept, but not checked.
    """

    association: Association
    contact: Contact = EMPTY_CONTACT
    withdrawn_at: datetime | None = None

    @property
    def id(self) -> str:
        """The association's."""
        return self.association.id

    @property
    def name(self) -> str:
        """The association's."""
        return self.association.name

    def get_value(self, field_name: str) -> RegistryValue:
        """Return the value of a column of the registry."""
        owner = self.contact if field_name in CONTACT_FIELDS else self.association
        value: RegistryValue = getattr(owner, field_name)
        return value

    def format_value(self, field_name: str) -> str:
        """Return the value of a column as a text, several values separated by commas."""
        value = self.get_value(field_name) or ""
        return value if isinstance(value, str) else ", ".join(value)

    def replace_values(self, values: Mapping[str, RegistryValue]) -> AssociationEntry:
        """Return the entry with other values, given by column."""
        contact_values: dict[str, Any] = {}
        association_values: dict[str, Any] = {}
        for name, value in values.items():
            target = contact_values if name in CONTACT_FIELDS else association_values
            target[name] = value
        return AssociationEntry(
            replace(self.association, **association_values), replace(self.contact, **contact_values)
        )


class AuditRunState(StrEnum):
    """The state of a run. `skipped`: there was no connectivity, so nothing was evaluated."""

    RUNNING = "running"
    DONE = "done"
    INCOMPLETE = "incomplete"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class AuditRun:
    """One check of every account. `day` is a day in UTC and unique.

    The results of `unreliable_channels` were not evaluated. `report` is the run report. `id` is 0
    until the run is stored. `resumed_at` is when the last session began, if there were several.
    """

    day: date
    state: AuditRunState
    started_at: datetime
    finished_at: datetime | None = None
    unreliable_channels: tuple[str, ...] = ()
    report: RunReport = field(default_factory=RunReport)
    id: int = 0
    resumed_at: datetime | None = None

    @property
    def as_of(self) -> datetime:
        """The time of the plan: later changes of the registry and decisions do not count."""
        return self.resumed_at or self.started_at

    @property
    def not_reached_count(self) -> int | None:
        """The number of accounts that the run did not reach, or None if unknown."""
        if self.state is AuditRunState.RUNNING:
            return None
        return self.report.not_reached if "not_reached" in self.report.model_fields_set else 0

    @property
    def has_crashed(self) -> bool:
        """Return True if the run is incomplete because most of its probes crashed."""
        is_incomplete = self.state is AuditRunState.INCOMPLETE
        return is_incomplete and self.report.interrupted_because == PROBES_CRASHED


@dataclass(frozen=True, slots=True)
class Evidence:
    """One HTTP exchange of a check: the request, the response, and the SHA-256 of the stored body.

    `is_withheld`: a body was received but not stored, because it shows private people.
    `is_registered_link`: the request was for the registered link itself. `received_digest` is the
    digest of the body as it was received, if another body is stored. `final_url` of a page is None
    if it is the requested URL. `hops` of a page are empty without a redirect. `is_volatile`: the
    server generates every response again, as platforms do, so the bytes cannot be compared.
    `is_cut`: a part of the response was not stored, because the check had reached a limit, so it
    cannot be replayed.
    """

    url: str
    status: int | None
    final_url: str | None = None
    reason: Reason | None = None
    digest: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hops: tuple[tuple[str, int], ...] = ()
    detail: str = ""
    truncated: bool = False
    insecure: bool = False
    elapsed_seconds: float = 0.0
    certificate_expires: date | None = None
    certificate_names: tuple[str, ...] = ()
    fetched_at: datetime | None = None
    is_withheld: bool = False
    is_registered_link: bool = False
    received_digest: str | None = None
    is_volatile: bool = False
    is_cut: bool = False

    @property
    def page_url(self) -> str:
        """Return the URL of the page that was received, after redirects."""
        return self.final_url or self.url


AccountPresence = tuple[str, str, int, int, Presence]
"""An association, a channel, the ids of an account and a run, and what the run found out."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A check of an account: its finding and evidence, the run, the time, and the probe version.

    `result_id` is the stored probe result, which is shared by all observations with an equal
    finding and evidence. The store returns it with every observation. An observation that is
    recorded with a `result_id` repeats that result of its account and has an equal finding; its own
    finding and evidence are not stored. It must not repeat a result whose finding depends on the
    time of the check ("three hours ago"), because a re-evaluation reads the page as of the first
    observation.

    The store also returns `first_observed_at`, when the page of the result was stored. The evidence
    is of that time.
    """

    account_id: int
    run_id: int
    observed_at: datetime
    finding: Finding
    evidence: tuple[Evidence, ...] = ()
    probe_version: int = 1
    result_id: int | None = field(default=None, compare=False)
    first_observed_at: datetime | None = field(default=None, compare=False)

    @property
    def is_repeat(self) -> bool:
        """Return True if the result was first observed in an earlier run."""
        return self.first_observed_at not in (None, self.observed_at)

    @property
    def key(self) -> tuple[int, int]:
        """The run and the account: the unique key of an observation."""
        return self.run_id, self.account_id


LastObservation = tuple[date, Observation]
"""The day of a run and its observation, which may have been made after midnight."""


@dataclass(frozen=True, slots=True)
class DomainCheck:
    """The registration of a website's domain as of its newest check.

    `reason` is None, or `not_found`, if the registry answered. Otherwise the other fields repeat
    its last answer, of `answered_at`. `expires_on` is the day of expiry, `other_expiry` a later day
    if the registry states two, and `statuses` those that say that the domain is lost or switched
    off.
    """

    account_id: int
    run_id: int
    domain: str
    checked_at: datetime
    reason: Reason | None = None
    answered_at: datetime | None = None
    expires_on: date | None = None
    other_expiry: date | None = None
    statuses: str = ""

    @property
    def has_failed(self) -> bool:
        """Return True if the registry gave no answer. "Not found" is an answer."""
        return self.reason not in (None, Reason.NOT_FOUND)


class AccountState(StrEnum):
    """The state of an account, as concluded from observations and decisions."""

    UNKNOWN = "unknown"
    PRESENT = "present"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Streak:
    """Consecutive conclusive runs with one cause: since when, the last one, and how many."""

    cause: str
    since: datetime
    latest_at: datetime
    run_count: int = 1

    @property
    def reason(self) -> str:
        """Return the reason, which is the cause without its detail after a slash."""
        return self.cause.partition("/")[0]


class CheckTimes(NamedTuple):
    """The times of an account's last check and of its last conclusive check."""

    account_id: int
    checked_at: datetime | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """The status of an account.

    `state` changes only after the number of runs that `[confirm]` requires. `reason` and `since`
    belong to `state`. `latest_presence` and `latest_reason` are those of the newest check;
    `last_known_finding` is the newest conclusive finding. `unconfirmed_streak` counts runs that
    contradict `state` and do not yet confirm another one. `failure_streak` counts runs in which the
    account could not be reached for one cause, which does not mean that it is absent. `platform_id`
    is the first id that was observed and never changes. `other_account_streak` counts runs in which
    another account had the registered name; its cause is that account's id. `is_attested`: the
    state is a person's word, not what a check saw. It is never stored.
    """

    account_id: int
    state: AccountState = AccountState.UNKNOWN
    reason: Reason | None = None
    since: datetime | None = None
    checked_at: datetime | None = None
    decided_at: datetime | None = None
    latest_presence: Presence | None = None
    latest_reason: Reason | None = None
    last_known_finding: Finding | None = None
    last_activity: Activity | None = None
    platform_id: str | None = None
    unconfirmed_streak: Streak | None = None
    failure_streak: Streak | None = None
    other_account_streak: Streak | None = None
    is_attested: bool = False

    @property
    def check_times(self) -> CheckTimes:
        """The part of the status that changes in every run."""
        return CheckTimes(self.account_id, self.checked_at, self.decided_at)


class DecisionKind(StrEnum):
    """The kinds of decisions about an account or a channel."""

    CONFIRM = "confirm"
    NONE_BY_CHOICE = "none_by_choice"
    CLAIM = "claim"
    DISOWN = "disown"
    MOVED = "moved"
    WAIVE = "waive"
    DOMAIN_EXPIRES = "domain_expires"


@dataclass(frozen=True, slots=True)
class DecisionWithdrawal:
    """The withdrawal of a decision: by whom, why, and when."""

    author: str
    reason: str
    withdrawn_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of a person, with its author, reason and period.

    `expires_at` is when it ends, by its own end or its withdrawal; None if it does not end.
    `channel` is empty for the whole association. `code` names the gap that a waiver covers. `value`
    depends on the kind: the day of the last publication that a person saw (`confirm`), the key of
    an unregistered account (`disown`), the new address (`moved`), or the account whose gap is
    waived (`waive`).
    """

    association: str
    channel: str
    kind: DecisionKind
    author: str
    reason: str
    decided_at: datetime
    expires_at: datetime | None = None
    account_id: int | None = None
    code: str | None = None
    value: str | None = None
    withdrawal: DecisionWithdrawal | None = None
    id: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """An unregistered account that an association's own website links to."""

    association: str
    link: FoundLink
    first_seen: datetime
    last_seen: datetime
    run_count: int = 1
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyAnswer:
    """An answer of an association to a question of the survey. The newest one of a question counts.

    `answer` is empty if the association took its answer back. `author` is the user who wrote it
    down on the telephone, empty if the association answered by its report link.
    """

    association: str
    question: str
    answer: str
    answered_at: datetime
    author: str = ""
    report_link_id: int | None = None
    id: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap of an association: a rule that matches, or matched, since `first_seen`.

    `channel` is empty for a gap of the whole association. `subject` is the key of the account if a
    channel has several. `run_count` counts the conclusive runs in which the rule matched.
    `opened_at` is None until the gap is confirmed; `closed_at` is when the rule stopped matching.
    `params` are the values for its text.
    """

    association: str
    channel: str
    code: str
    severity: str
    first_seen: datetime
    run_count: int = 1
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    subject: str = ""
    params: Mapping[str, FactValue] = field(default_factory=dict)
    evidence: Mapping[str, FactValue] = field(default_factory=dict)
    id: int | None = None
