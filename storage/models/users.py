"""The data of users and of communication, and the audit log of the registry."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from storage.sanitize import sanitize_text


class Role(StrEnum):
    """The role of a user: reads, edits associations (of all regions or some), or manages users."""

    READER = "reader"
    COORDINATOR = "coordinator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """A user of the web interface.

    `regions` limits a coordinator to these regions, spelt as by
    `auditor.evaluation.summary.get_region_key`; empty means all. A removed user cannot log in; the
    name stays in the log. Without `password_hash` the user has not opened the invitation yet.
    """

    name: str
    role: Role
    added_at: datetime
    added_by: str
    regions: tuple[str, ...] = ()
    password_hash: str | None = field(default=None, repr=False)
    password_set_at: datetime | None = None
    removed_at: datetime | None = None
    id: int | None = None

    @property
    def normalized_name(self) -> str:
        """The name in the form in which it is compared."""
        return normalize_user_name(self.name)


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A login session of a browser. `token_hash` is the SHA-256 of its cookie."""

    token_hash: str
    user_id: int
    started_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class UserInvite:
    """A one-time link to set a password. `token_hash` is the SHA-256 of its token."""

    token_hash: str
    user_id: int
    created_at: datetime
    created_by: str
    expires_at: datetime


def normalize_user_name(name: str) -> str:
    """Return a user name without differences in case, spaces and Unicode forms."""
    return " ".join(unicodedata.normalize("NFKC", sanitize_text(name)).casefold().split())


class ReportLinkState(StrEnum):
    """The state of a report link."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ReportLink:
    """A link to the report of an association, which expires and can be revoked.

    `token_hash` is the SHA-256 of its token in hexadecimal; the token itself is displayed once and
    not stored.
    """

    association: str
    token_hash: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    last_opened_at: datetime | None = None
    id: int | None = None

    def is_active(self, now: datetime) -> bool:
        """Return whether the link opens the report."""
        return self.get_state(now) is ReportLinkState.ACTIVE

    def get_state(self, now: datetime) -> ReportLinkState:
        """Return whether the link is active, expired or revoked."""
        if self.revoked_at is not None:
            return ReportLinkState.REVOKED
        return ReportLinkState.ACTIVE if now < self.expires_at else ReportLinkState.EXPIRED


class ReplyKind(StrEnum):
    """The kinds of replies of an association to its report."""

    CLAIMED = "claimed"
    DISOWNED = "disowned"
    CLOSED = "closed"
    MOVED = "moved"
    DISPUTED = "disputed"
    PROMISED = "promised"
    DOMAIN_EXPIRES = "domain_expires"


class ReplyOutcome(StrEnum):
    """The end of a reply: reviewed by a coordinator, or taken back by the association."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of an association to its report. It waits for a review until `outcome` is set.

    A withdrawn reply has no `reviewed_by`, and `reviewed_at` is when it was withdrawn. `value`
    depends on the kind: the key of an account that was found on the website (`claimed`,
    `disowned`), the new address (`moved`), or the day in ISO format (`promised`). `code` names the
    gap it refers to, if any.
    """

    association: str
    kind: ReplyKind
    submitted_at: datetime
    channel: str = ""
    account_id: int | None = None
    code: str | None = None
    value: str | None = None
    text: str = ""
    report_link_id: int | None = None
    outcome: ReplyOutcome | None = None
    reviewed_by: str | None = None
    review_reason: str | None = None
    reviewed_at: datetime | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class CompletedStep:
    """A step towards fixing a gap that the association ticked. `step` counts from 1.

    `channel`, `code` and `subject` are those of the gap.
    """

    association: str
    channel: str
    code: str
    subject: str
    step: int
    completed_at: datetime


class FollowUpKind(StrEnum):
    """The kind of contact between the network and an association."""

    CALLED = "called"
    WROTE = "wrote"
    MET = "met"
    PROMISED = "promised"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """An entry of the follow-up log: who was in contact, when, and about what.

    `due_date` is the day of a promise. `channel` and `code` name the gap it refers to, if any.
    """

    association: str
    kind: FollowUpKind
    author: str
    occurred_at: datetime
    text: str = ""
    due_date: date | None = None
    channel: str = ""
    code: str | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """The choice of an address to get messages of a kind (`digest`, `monthly`) or not.

    `token_hash` is the hash of the token in its unsubscribe link. `association` is empty for a
    coordinator.
    """

    address: str
    kind: str
    is_wanted: bool
    changed_at: datetime
    association: str = ""
    token_hash: str | None = None


WHOLE_ASSOCIATION_FIELD = "association"
"""The `field` of an audit log entry about the association as a whole."""
PRUNE_SOURCE = "prune"
"""The `source` of entries about rows that were removed with all their observations."""
ERASE_SOURCE = "erase"
"""The `source` of entries about an erasure. Their `association` is a digest of the id."""
REGISTRY_FIELDS = (
    "name",
    "name_ar",
    "name_fr",
    "region",
    "city",
    "language",
    "email",
    "phone",
    "tags",
    "none_by_choice",
    "media_officer",
    "note",
)
"""The fields of a registry entry, in the order of the spreadsheet's columns."""


class RegistryChangeKind(StrEnum):
    """The kinds of changes of the registry.

    `withdrawn` rows are kept but not audited, `pruned` rows are removed, and `erased` associations
    are removed together with every other log entry about them.
    """

    ADDED = "added"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"
    PRUNED = "pruned"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class AuditLogEntry:
    """An entry of the audit log: who changed which field of an association, with both values.

    `source` is where it was changed: `import`, `web`, `decision`, `prune` or `erase`. `field` is
    `association` if an association was added or removed, and the name of the column if it was an
    account.
    """

    changed_at: datetime
    author: str
    source: str
    association: str
    field: str
    before: str | None
    after: str | None
    id: int | None = None

    @property
    def kind(self) -> RegistryChangeKind:
        """The kind of change to the registry."""
        if self.source == ERASE_SOURCE:
            return RegistryChangeKind.ERASED
        if self.field in REGISTRY_FIELDS or (self.before is not None and self.after is not None):
            return RegistryChangeKind.CHANGED
        if self.before is None:
            return RegistryChangeKind.ADDED
        return (
            RegistryChangeKind.PRUNED
            if self.source == PRUNE_SOURCE
            else RegistryChangeKind.WITHDRAWN
        )


@dataclass(frozen=True, slots=True)
class ChangeOrigin:
    """The author of a change of the registry, and its place (see `AuditLogEntry.source`)."""

    author: str
    source: str

    def build_log_entry(
        self,
        changed_at: datetime,
        association: str,
        field: str,
        before: str | None,
        after: str | None,
    ) -> AuditLogEntry:
        """Return an audit log entry."""
        return AuditLogEntry(
            changed_at, self.author, self.source, association, field, before, after
        )


OPERATOR_ORIGIN = ChangeOrigin("operator", "import")
"""The origin of changes without a named author."""
