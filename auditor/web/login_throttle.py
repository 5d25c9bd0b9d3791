"""How often a password may be guessed: five times in a quarter of an hour, by address and by account.

A stranger could keep somebody out by failing in their name for ever. So a browser that was logged in before
is counted by itself: it shows a proof that only the kept hash of the password makes, and strangers' failures
do not touch it. And a one-time link (`auditor user reset`) is never counted.

What is counted is in memory: a restart forgets it, and several processes would each count by themselves.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from math import ceil
from weakref import WeakValueDictionary

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from storage.models.users import User, key_of

FAILURES = RateLimitItemPerMinute(5, 15)
HOUSE = 64
"""Bits of an IPv6 address that are one household's: whoever has it has all of the others."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Counts failures by keys. Its attempts come one behind the other, so that none slips past the count."""

    window: MovingWindowRateLimiter = field(default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()))
    locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    @asynccontextmanager
    async def turn(self, keys: Sequence[str]) -> AsyncIterator[int]:
        """Wait for the turn of these keys, and tell how many seconds they have to wait yet; 0: now.

        Whoever has to wait is told at once, also while others of the key are tried.
        """
        async with AsyncExitStack() as stack:
            if not self.seconds(keys):
                for key in keys:
                    await stack.enter_async_context(self.locks.setdefault(key, asyncio.Lock()))
            yield self.seconds(keys)

    def seconds(self, keys: Sequence[str]) -> int:
        """How long until all of these keys may try again."""
        return max((self._seconds(key) for key in keys), default=0)

    def failed(self, keys: Sequence[str]) -> None:
        """Count a failure of each."""
        for key in keys:
            self.window.hit(FAILURES, key)

    def _seconds(self, key: str) -> int:
        if self.window.test(FAILURES, key):
            return 0
        return max(1, ceil(self.window.get_window_stats(FAILURES, key).reset_time - time.time()))


def keys_of(address: str, name: str, user: User | None, proof: str) -> tuple[str, ...]:
    """By what an attempt is counted: address and account, or that it is from a browser that is known."""
    if (
        user is not None
        and user.password_hash
        and hmac.compare_digest(proof.encode(), proof_of(user).encode())
    ):
        return (f"known {user.key}",)
    return (f"address {_place(address)}", f"account {key_of(name)}")


def proof_of(user: User) -> str:
    """What a browser shows that was logged in as a user since the password was set; it lets nobody in."""
    assert user.password_hash
    return hmac.new(user.password_hash.encode(), user.key.encode(), hashlib.sha256).hexdigest()


def _place(address: str) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or f"{int(found) >> (128 - HOUSE):x}::/{HOUSE}")
