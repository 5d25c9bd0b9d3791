"""Limits failed logins to five in 15 minutes, for each client address and for each account.

With that limit alone, a stranger who fails on purpose could lock a user out for ever. So a browser
in which the user has logged in before has its own count: it sends a proof that only the stored
password hash can produce. One-time links (`auditor user reset`) are never counted.

The counts are in memory: a restart forgets them, and several processes would each count for
themselves.
"""

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

from storage.models.users import normalize_user_name
from storage.tables.users import User

LOGIN_FAILURE_LIMIT = RateLimitItemPerMinute(5, 15)
"""Five failures in 15 minutes."""

IPV6_NETWORK_BITS = 64
"""One household usually has all IPv6 addresses that share these bits."""


@dataclass(frozen=True, slots=True)
class LoginAttemptLimiter:
    """Counts failed attempts by key. Attempts with the same key run one after the other."""

    limiter: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage())
    )
    locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    @asynccontextmanager
    async def acquire(self, keys: Sequence[str]) -> AsyncIterator[int]:
        """Wait until no other attempt with these keys runs; yield the seconds to wait, or 0.

        If the limit is already reached, this yields at once, even while another attempt runs.
        """
        async with AsyncExitStack() as stack:
            if not self.get_wait_seconds(keys):
                for key in keys:
                    await stack.enter_async_context(self.locks.setdefault(key, asyncio.Lock()))
            yield self.get_wait_seconds(keys)

    def get_wait_seconds(self, keys: Sequence[str]) -> int:
        """Return the seconds until all of these keys may try again; 0 means now."""
        return max(map(self._get_key_wait_seconds, keys), default=0)

    def record_failures(self, keys: Sequence[str]) -> None:
        """Count one failure for each key."""
        for key in keys:
            self.limiter.hit(LOGIN_FAILURE_LIMIT, key)

    def _get_key_wait_seconds(self, key: str) -> int:
        if self.limiter.test(LOGIN_FAILURE_LIMIT, key):
            return 0
        reset_time = self.limiter.get_window_stats(LOGIN_FAILURE_LIMIT, key).reset_time
        return max(1, ceil(reset_time - time.time()))


def build_attempt_keys(
    address: str, name: str, user: User | None, browser_proof: str
) -> tuple[str, ...]:
    """Return the keys that an attempt counts for.

    They are the client's address and the account, or one key for a browser that the user has used
    before.
    """
    if (
        user is not None
        and user.password_hash
        and hmac.compare_digest(browser_proof.encode(), compute_browser_proof(user).encode())
    ):
        return (f"known browser of {user.normalized_name}",)
    return (f"address {normalize_client_address(address)}", f"account {normalize_user_name(name)}")


def compute_browser_proof(user: User) -> str:
    """Return the proof that a user has logged in with a browser since the password was set.

    It does not log anyone in; it only selects the counter.
    """
    assert user.password_hash
    return hmac.new(
        user.password_hash.encode(), user.normalized_name.encode(), hashlib.sha256
    ).hexdigest()


def normalize_client_address(address: str) -> str:
    """Return the IPv4 address, or the network of an IPv6 address."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return f"{int(ip) >> (128 - IPV6_NETWORK_BITS):x}::/{IPV6_NETWORK_BITS}"
