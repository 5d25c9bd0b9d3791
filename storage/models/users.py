"""The nouns of who may use the pages: users, their sessions, and the one-time links that invite them.

Plain, frozen and free of SQL, as those of `storage.models.audit`.

The nouns of talking with associations: their letters, what they reply, what was agreed, what was sent.

Plain, frozen and free of SQL, as those of `storage.models.audit`.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from storage.sanitize import sanitize_text


class Role(StrEnum):
    """What a user may do: read; look after associations, of all regions or of some; look after users, too."""

    READER = "reader"
    COORDINATOR = "coordinator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in.

    `regions` are a coordinator's, as `auditor.evaluation.summary.get_region_key`; none are all.
    One who was removed stays as a name beside what was signed, and cannot log in. Without `password_hash`
    nobody can either: the one-time link is still to be opened.
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
        """The name as it is compared."""
        return normalize_user_name(self.name)


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A browser that is logged in. `token_hash` is the SHA-256 of its cookie, which is kept nowhere."""

    token_hash: str
    user_id: int
    started_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class UserInvite:
    """A one-time link by which a user sets a password. `token_hash` is the SHA-256 of what is in it."""

    token_hash: str
    user_id: int
    created_at: datetime
    created_by: str
    expires_at: datetime


def normalize_user_name(name: str) -> str:
    """A user's name as it is compared: whatever its capitals, spaces and forms of letters."""
    return " ".join(unicodedata.normalize("NFKC", sanitize_text(name)).casefold().split())


class ReportLinkState(StrEnum):
    """Where a letter stands."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ReportLink:
    """An association's own way to its report: a link that expires and can be revoked.

    `token_hash` is the SHA-256 of the token in hexadecimal; the token itself is shown once and never kept.
    `opened_at` is when the report was last read through it.
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
        """Whether the link leads to the report."""
        return self.get_state(now) is ReportLinkState.ACTIVE

    def get_state(self, now: datetime) -> ReportLinkState:
        """Whether it holds, or why no longer."""
        if self.revoked_at is not None:
            return ReportLinkState.REVOKED
        return ReportLinkState.ACTIVE if now < self.expires_at else ReportLinkState.EXPIRED


class ReplyKind(StrEnum):
    """What an association may answer to its report."""

    CLAIMED = "claimed"
    DISOWNED = "disowned"
    CLOSED = "closed"
    MOVED = "moved"
    DISPUTED = "disputed"
    PROMISED = "promised"


class ReplyOutcome(StrEnum):
    """What a coordinator made of a reply."""

    ACCEPTED = "accepted"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Reply:
    """An association's word on its own report, waiting for the coordinator until `answer` is set.

    `value` is what the kind needs besides: the key of an account found on the site (`ours`, `not_ours`), the
    new address (`moved`), the day in ISO form (`promised`). `code` names the gap it is about, if it is one.
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


class FollowUpKind(StrEnum):
    """How the network and an association were in touch."""

    CALLED = "called"
    WROTE = "wrote"
    MET = "met"
    PROMISED = "promised"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A line of the follow-up log: who was in touch, when, about what. `due` is a promise's day.

    `channel` and `code` name the gap that it is about, if it is about one.
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
    """Whether an address wants a kind of message (`digest`, `monthly`), by the newest word on it.

    `token_hash` is of the token in its unsubscribe link. `association` is empty for a coordinator.
    """

    address: str
    kind: str
    is_wanted: bool
    changed_at: datetime
    association: str = ""
    token_hash: str | None = None


WHOLE_ASSOCIATION_FIELD = "association"
"""What a line of the trail is about where the association itself came or left."""
PRUNE_SOURCE = "prune"
"""The source of what was removed with all that was seen of it."""
ERASE_SOURCE = "erase"
"""The source of what was erased: its association is no id any more, but a digest of one."""
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
"""What of an association's entry may change, its contact among it, in the order of a sheet."""


class RegistryChangeKind(StrEnum):
    """How something of the registry changed: `withdrawn` is kept, not audited; `pruned` is removed.

    `forgotten` is erased, together with every other line about it.
    """

    ADDED = "added"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"
    PRUNED = "pruned"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class AuditLogEntry:
    """A line of the registry's audit trail: who changed which field of an association, from what to what.

    `source` is where it was changed: `import`, `web`, `decision`, `prune` for what was removed, `forget` for
    what was erased. An association that came or left has the field `association`, a link its column's name.
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
        """What became of it."""
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
    """Who changes the registry, and where."""

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
        """A line of the trail."""
        return AuditLogEntry(
            changed_at, self.author, self.source, association, field, before, after
        )


OPERATOR_ORIGIN = ChangeOrigin("operator", "import")
"""Whoever runs the auditor, where nobody is named."""
