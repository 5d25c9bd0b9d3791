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

from storage.sanitize import text


class Role(StrEnum):
    """What a user may do: read; look after associations, of all regions or of some; look after users, too."""

    READER = "reader"
    COORDINATOR = "coordinator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in.

    `regions` are a coordinator's, as `auditor.evaluation.summary.place`; none are all.
    One who was removed stays as a name beside what was signed, and cannot log in. Without `password_hash`
    nobody can either: the one-time link is still to be opened.
    """

    name: str
    role: Role
    added_at: datetime
    added_by: str
    regions: tuple[str, ...] = ()
    password_hash: str | None = field(default=None, repr=False)
    password_at: datetime | None = None
    removed_at: datetime | None = None
    id: int | None = None

    @property
    def key(self) -> str:
        """The name as it is compared."""
        return key_of(self.name)


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is logged in. `token_hash` is the SHA-256 of its cookie, which is kept nowhere."""

    token_hash: str
    user_id: int
    begun_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """A one-time link by which a user sets a password. `token_hash` is the SHA-256 of what is in it."""

    token_hash: str
    user_id: int
    made_at: datetime
    made_by: str
    expires_at: datetime


def key_of(name: str) -> str:
    """A user's name as it is compared: whatever its capitals, spaces and forms of letters."""
    return " ".join(unicodedata.normalize("NFKC", text(name)).casefold().split())


class LetterState(StrEnum):
    """Where a letter stands."""

    HOLDS = "holds"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Letter:
    """An association's own way to its report: a link that expires and can be revoked.

    `token_hash` is the SHA-256 of the token in hexadecimal; the token itself is shown once and never kept.
    `opened_at` is when the report was last read through it.
    """

    association: str
    token_hash: str
    made_at: datetime
    made_by: str
    expires_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    opened_at: datetime | None = None
    id: int | None = None

    def holds(self, now: datetime) -> bool:
        """Whether the link leads to the report."""
        return self.state(now) is LetterState.HOLDS

    def state(self, now: datetime) -> LetterState:
        """Whether it holds, or why no longer."""
        if self.revoked_at is not None:
            return LetterState.REVOKED
        return LetterState.HOLDS if now < self.expires_at else LetterState.EXPIRED


class ReplyKind(StrEnum):
    """What an association may answer to its report."""

    OURS = "ours"
    NOT_OURS = "not_ours"
    CLOSED = "closed"
    MOVED = "moved"
    MISTAKEN = "mistaken"
    PROMISED = "promised"


class Answer(StrEnum):
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
    said_at: datetime
    channel: str = ""
    account_id: int | None = None
    code: str | None = None
    value: str | None = None
    text: str = ""
    letter_id: int | None = None
    answer: Answer | None = None
    answered_by: str | None = None
    answered_why: str | None = None
    answered_at: datetime | None = None
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
    who: str
    at: datetime
    text: str = ""
    due: date | None = None
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
    wanted: bool
    changed_at: datetime
    association: str = ""
    token_hash: str | None = None


ASSOCIATION = "association"
"""What a line of the trail is about where the association itself came or left."""
PRUNE = "prune"
"""The source of what was removed with all that was seen of it."""
FORGET = "forget"
"""The source of what was erased: its association is no id any more, but a digest of one."""
FIELDS = (
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


class ChangeKind(StrEnum):
    """How something of the registry changed: `withdrawn` is kept, not audited; `pruned` is removed.

    `forgotten` is erased, together with every other line about it.
    """

    ADDED = "added"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"
    PRUNED = "pruned"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the registry's audit trail: who changed which field of an association, from what to what.

    `source` is where it was changed: `import`, `web`, `decision`, `prune` for what was removed, `forget` for
    what was erased. An association that came or left has the field `association`, a link its column's name.
    """

    at: datetime
    who: str
    source: str
    association: str
    field: str
    before: str | None
    after: str | None
    id: int | None = None

    @property
    def kind(self) -> ChangeKind:
        """What became of it."""
        if self.source == FORGET:
            return ChangeKind.FORGOTTEN
        if self.field in FIELDS or (self.before is not None and self.after is not None):
            return ChangeKind.CHANGED
        if self.before is None:
            return ChangeKind.ADDED
        return ChangeKind.PRUNED if self.source == PRUNE else ChangeKind.WITHDRAWN


@dataclass(frozen=True, slots=True)
class By:
    """Who changes the registry, and where."""

    who: str
    source: str

    def change(
        self, at: datetime, association: str, field: str, before: str | None, after: str | None
    ) -> Change:
        """A line of the trail."""
        return Change(at, self.who, self.source, association, field, before, after)


OPERATOR = By("operator", "import")
"""Whoever runs the auditor, where nobody is named."""
