"""Passwords: which may be taken, how they are kept, and how one is compared without telling who exists.

Kept is an Argon2id hash (64 MB, as pwdlib recommends). Two are made at once at most, so that a crowd at the
login takes 128 MB and no more, in threads, so that the loop goes on meanwhile.
"""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum

from anyio import CapacityLimiter, to_thread
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from auditor.users import common_passwords

SHORTEST, LONGEST = 12, 128
"""Characters of a password. No rules of composition: length is what counts (NIST SP 800-63B)."""
AT_ONCE = 2
COST = Argon2Hasher()
"""How dear a hash is: 64 MB, 3 passes, 4 lanes; some 0.1 s of a small server."""


class Fault(StrEnum):
    """What is wrong with a password that somebody wants to have."""

    SHORT = "short"
    LONG = "long"
    COMMON = "common"


def fault(password: str, *names: str) -> Fault | None:
    """What is wrong with a password; `names` are the user's and the network's, which everybody knows."""
    told = normal(password)
    if len(told) > LONGEST:
        return Fault.LONG
    if len(told) < SHORTEST:
        return Fault.SHORT
    return Fault.COMMON if common_passwords.is_common(told, names) else None


def normal(password: str) -> str:
    """One form of what keyboards type in several (NFKC), so that another telephone writes the same."""
    return unicodedata.normalize("NFKC", password)


@dataclass(frozen=True, slots=True)
class Passwords:
    """Makes and compares hashes, so many at once. One is enough for a process."""

    hasher: PasswordHash = field(default_factory=lambda: PasswordHash((COST,)))
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_ONCE))
    dummy: list[str] = field(default_factory=list)
    """The hash that stands in for that of a user who does not exist; made once."""

    async def hash(self, password: str) -> str:
        """What is kept of a password."""
        return await to_thread.run_sync(self.hasher.hash, normal(password), limiter=self.limiter)

    async def agrees(self, password: str, kept: str | None) -> tuple[bool, str | None]:
        """Whether it is the password of which this was kept, and what to keep instead where costs changed.

        Without anything kept it takes as long, and never agrees.
        """
        return await to_thread.run_sync(self._agrees, normal(password), kept, limiter=self.limiter)

    def _agrees(self, password: str, kept: str | None) -> tuple[bool, str | None]:
        agreed, newer = self.hasher.verify_and_update(password, kept or self._stand_in())
        return (agreed and kept is not None, newer)

    def _stand_in(self) -> str:
        if not self.dummy:
            self.dummy.append(self.hasher.hash(secrets.token_urlsafe()))
        return self.dummy[0]
