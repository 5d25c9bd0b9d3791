"""Roles, states and kinds of the data of users and communication, and audit log entries."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from probes.text.charset import BLANK_LETTERS, IGNORABLE_CHARACTERS, JOINERS, STRAY_JOINERS
from storage.sanitize import sanitize_text

MAX_SUBSCRIPTION_REQUEST_AGE = timedelta(days=7)
"""How long a request to subscribe can be confirmed. After that it is deleted."""


class Role(StrEnum):
    """The role of a user: reads, edits associations (of all regions or some), or manages users."""

    READER = "reader"
    COORDINATOR = "coordinator"
    ADMIN = "admin"


def clean_user_name(name: str) -> str:
    """Return a user name without characters that no one sees.

    Joiners between Arabic letters stay.
    """
    words = " ".join(BLANK_LETTERS.sub(" ", sanitize_text(name)).split())
    return " ".join(STRAY_JOINERS.sub("", re.sub(IGNORABLE_CHARACTERS, "", words)).split())


def normalize_user_name(name: str) -> str:
    """Return a user name without differences in case, spaces, joiners and Unicode forms.

    Names that differ in letters of two scripts can still look alike (Latin and Cyrillic `a`).
    """
    letters = JOINERS.sub("", clean_user_name(name))
    return " ".join(unicodedata.normalize("NFKC", letters).casefold().split())


class ReportLinkState(StrEnum):
    """The state of a report link."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ReplyKind(StrEnum):
    """The kinds of replies of an association to its report."""

    CLAIMED = "claimed"
    DISOWNED = "disowned"
    CLOSED = "closed"
    MOVED = "moved"
    DISPUTED = "disputed"
    PROMISED = "promised"
    DOMAIN_EXPIRES = "domain_expires"
    SEEN = "seen"


class ReplyOutcome(StrEnum):
    """The end of a reply: reviewed by a coordinator, or taken back by the association."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


class FollowUpKind(StrEnum):
    """The kind of contact between the network and an association.

    `fixed`: the association says that it has fixed what it was called about. `invited` and
    `attended` are about a workshop.
    """

    CALLED = "called"
    NO_ANSWER = "no_answer"
    FIXED = "fixed"
    WROTE = "wrote"
    MET = "met"
    PROMISED = "promised"
    NOTE = "note"
    INVITED = "invited"
    ATTENDED = "attended"


WORKSHOP_KINDS = (FollowUpKind.INVITED, FollowUpKind.ATTENDED)
"""The kinds of follow-ups about workshops. They do not count as contacts."""


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


RegistryChangeKind = Literal["added", "changed", "withdrawn", "pruned", "erased"]
"""The kinds of changes of the registry.

`withdrawn` rows are kept but not audited, `pruned` rows are removed, and `erased` associations
are removed together with every other log entry about them.
"""


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
    id: int = 0

    @property
    def kind(self) -> RegistryChangeKind:
        """The kind of change to the registry."""
        if self.source == ERASE_SOURCE:
            return "erased"
        if self.field in REGISTRY_FIELDS or None not in (self.before, self.after):
            return "changed"
        if self.before is None:
            return "added"
        if self.source == PRUNE_SOURCE:
            return "pruned"
        return "withdrawn"


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
