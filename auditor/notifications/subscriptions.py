"""What people want to receive: a word on a subscription, whoever gives it.

The tokens by which a subscription is ended from a mail, and the key they are made with.

A link in last month's mail must still work, so a subscription has one token for ever: it is computed from a
key in the data folder, and the database holds its hash alone. Where the key is lost, old links end nothing.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from auditor.config.loader import lower
from auditor.config.notifications import is_mail, key_of
from auditor.config.schema import Config
from auditor.core.errors import ConfigError, InputError
from auditor.core.tokens import digest
from auditor.notifications.drafts import DIGEST, MONTHLY
from storage.models.users import Subscription
from storage.store import Store

MOST = 5
"""Addresses that get an association's report: whoever holds its letter could name anybody's."""


class Outcome(StrEnum):
    """What became of an association's wish."""

    KEPT = "kept"
    NO_ADDRESS = "no_address"
    TOO_MANY = "too_many"


def monthly(store: Store, address: str, association: str, now: datetime) -> Outcome:
    """Keep that an address wants an association's monthly report, as far as there is room."""
    bare = key_of(address.strip().removeprefix("mailto:"))
    if not is_mail(bare):
        return Outcome.NO_ADDRESS
    others = (one for one in store.subscriptions(MONTHLY, association) if one.wanted and one.address != bare)
    if sum(1 for _ in others) >= MOST:
        return Outcome.TOO_MANY
    known = store.subscription(bare, MONTHLY, association)
    if known is None or not known.wanted:
        _keep(store, Subscription(bare, MONTHLY, True, now, association))
    return Outcome.KEPT


def keep(
    store: Store, config: Config, address: str, association: str, *, wanted: bool, now: datetime
) -> None:
    """Keep whether an address wants the digest, or an association's monthly report.

    Raises InputError: no address, no such association, or a digest for somebody whom the configuration
    does not list (it alone says who gets it).
    """
    bare = key_of(address.removeprefix("mailto:"))
    if not is_mail(bare):
        raise InputError(address, "this is no mail address", "name@example.org")
    if association and store.association(association) is None:
        raise InputError(association, "no association has this id", "`auditor report` lists them")
    if wanted and not association and all(one.key != bare for one in config.notify.recipients):
        remedy = "list it in [[notify.recipients]], or name its --association"
        raise InputError(address, "the digest goes to those whom the configuration lists", remedy)
    _keep(store, Subscription(bare, MONTHLY if association else DIGEST, wanted, now, association))


def _keep(store: Store, wish: Subscription) -> None:
    """Keep a wish, and the token by which it is ended where it has one."""
    known = store.subscription(wish.address, wish.kind, wish.association)
    store.subscribe(replace(wish, token_hash=known.token_hash if known else None))


FILE = "unsubscribe.key"


def key_in(folder: Path) -> bytes:
    """The key; made where there is none, for its owner's eyes alone. Raises ConfigError."""
    path = folder / FILE
    try:
        if not path.exists():
            _make(path)
        return path.read_bytes()
    except OSError as trouble:
        raise ConfigError(
            str(path), lower(trouble.strerror or str(trouble)), "mend its permissions"
        ) from None


def _make(path: Path) -> None:
    """Make the key whole or not at all; of two who make it at once the first one's stands."""
    fresh = path.with_name(f"{FILE}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(32))
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()


def token(key: bytes, wish: Subscription) -> str:
    """The token of one subscription."""
    told = f"{wish.address}\n{wish.kind}\n{wish.association}".encode()
    return urlsafe_b64encode(hmac.digest(key, told, "sha256")[:24]).decode()


def stop_token(store: Store, key: bytes, wish: Subscription) -> str:
    """The token of a subscription, which the database knows from now on; `wish` is kept where it is new."""
    made = token(key, wish)
    kept = store.subscription(wish.address, wish.kind, wish.association) or wish
    if kept.token_hash != digest(made):
        store.subscribe(replace(kept, token_hash=digest(made)))
    return made
