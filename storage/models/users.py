"""The nouns of who may use the pages: users, their sessions, and the one-time links that invite them.

Plain, frozen and free of SQL, as those of `storage.models.audit`.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
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
