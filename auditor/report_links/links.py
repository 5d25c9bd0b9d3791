"""The associations' own ways to their reports: links that nobody guesses, that expire and can be revoked.

The token stands in the link alone. What is kept is its hash, so whoever reads the database opens no report.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from auditor.config.schema import Config
from auditor.core.errors import ConfigError
from auditor.core.tokens import BYTES, digest
from storage.models.communication import Letter
from storage.store import Store


def made(
    store: Store,
    config: Config,
    association: str,
    who: str,
    now: datetime,
    *,
    days: int | None = None,
    keep: bool = False,
) -> tuple[Letter, str]:
    """Make an association's letter: it, and its address, which is shown this once.

    Its older letters end, unless they are to be kept. Raises ConfigError where no public address is set.
    """
    letter, address = drafted(config, association, who, now, days=days)
    return store.add_letter(letter, keep=keep), address


def drafted(
    config: Config, association: str, who: str, now: datetime, *, days: int | None = None
) -> tuple[Letter, str]:
    """A letter that nobody has kept yet, so that it opens nothing, and its address. Raises ConfigError."""
    base = public_url(config)
    token = secrets.token_urlsafe(BYTES)
    return Letter(association, digest(token), now, who, end(config, now, days)), f"{base}/r/{token}"


def end(config: Config, now: datetime, days: int | None = None) -> datetime:
    """When a letter of today ends: after so many days, or as the configuration says."""
    return now + timedelta(days=config.letters.days if days is None else days)


def public_url(config: Config) -> str:
    """The address under which associations reach their reports. Raises ConfigError where none is set."""
    if not config.web.public_url:
        why = "letters need the address under which the associations reach this server"
        raise ConfigError("[web] public_url", why, 'public_url = "https://reports.example.org"')
    return config.web.public_url


def can_be_made(config: Config) -> bool:
    """Whether there is an address for them to lead to."""
    return bool(config.web.public_url)


def opened(store: Store, token: str, now: datetime) -> Letter | None:
    """The letter that a token opens; None for one that is wrong, expired or revoked."""
    letter = store.letter(digest(token))
    return letter if letter is not None and letter.holds(now) else None
