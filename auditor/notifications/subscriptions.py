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

from auditor.config.notifications import is_mail_address, normalize_mail_address
from auditor.config.schema import Config
from auditor.core.errors import ConfigError, InputError
from auditor.core.tokens import hash_token
from auditor.notifications.drafts import DIGEST_KIND, MONTHLY_KIND
from storage.errors import explain_file_error
from storage.models.users import Subscription
from storage.store import Store

MAX_SUBSCRIBERS_PER_ASSOCIATION = 5
"""Addresses that get an association's report: whoever holds its letter could name anybody's."""


class SubscriptionOutcome(StrEnum):
    """What became of an association's wish."""

    SAVED = "saved"
    INVALID_ADDRESS = "invalid_address"
    TOO_MANY_SUBSCRIBERS = "too_many"


def subscribe_to_monthly_report(
    store: Store, address: str, association: str, now: datetime
) -> SubscriptionOutcome:
    """Keep that an address wants an association's monthly report, as far as there is room."""
    bare = normalize_mail_address(address.strip().removeprefix("mailto:"))
    if not is_mail_address(bare):
        return SubscriptionOutcome.INVALID_ADDRESS
    others = (
        one
        for one in store.list_subscriptions(MONTHLY_KIND, association)
        if one.is_wanted and one.address != bare
    )
    if sum(1 for _ in others) >= MAX_SUBSCRIBERS_PER_ASSOCIATION:
        return SubscriptionOutcome.TOO_MANY_SUBSCRIBERS
    known = store.get_subscription(bare, MONTHLY_KIND, association)
    if known is None or not known.is_wanted:
        _store_subscription(store, Subscription(bare, MONTHLY_KIND, True, now, association))
    return SubscriptionOutcome.SAVED


def save_subscription(
    store: Store, config: Config, address: str, association: str, *, wanted: bool, now: datetime
) -> None:
    """Keep whether an address wants the digest, or an association's monthly report.

    Raises InputError: no address, no such association, or a digest for somebody whom the configuration
    does not list (it alone says who gets it).
    """
    bare = normalize_mail_address(address.removeprefix("mailto:"))
    if not is_mail_address(bare):
        raise InputError(address, "this is no mail address", "name@example.org")
    if association and store.get_association(association) is None:
        raise InputError(association, "no association has this id", "`auditor report` lists them")
    if wanted and not association and all(one.key != bare for one in config.notify.recipients):
        remedy = "list it in [[notify.recipients]], or name its --association"
        raise InputError(address, "the digest goes to those whom the configuration lists", remedy)
    _store_subscription(
        store,
        Subscription(bare, MONTHLY_KIND if association else DIGEST_KIND, wanted, now, association),
    )


def _store_subscription(store: Store, subscription: Subscription) -> None:
    """Keep a wish, and the token by which it is ended where it has one."""
    known = store.get_subscription(
        subscription.address, subscription.kind, subscription.association
    )
    store.save_subscription(replace(subscription, token_hash=known.token_hash if known else None))


UNSUBSCRIBE_KEY_FILE = "unsubscribe.key"


def load_unsubscribe_key(folder: Path) -> bytes:
    """The key; made where there is none, for its owner's eyes alone. Raises ConfigError."""
    path = folder / UNSUBSCRIBE_KEY_FILE
    try:
        if not path.exists():
            _create_key_file(path)
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot use the key file {path}", *explain_file_error(error)) from None


def _create_key_file(path: Path) -> None:
    """Make the key whole or not at all; of two who make it at once the first one's stands."""
    fresh = path.with_name(f"{UNSUBSCRIBE_KEY_FILE}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(32))
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()


def compute_unsubscribe_token(key: bytes, subscription: Subscription) -> str:
    """The token of one subscription."""
    told = f"{subscription.address}\n{subscription.kind}\n{subscription.association}".encode()
    return urlsafe_b64encode(hmac.digest(key, told, "sha256")[:24]).decode()


def ensure_unsubscribe_token(store: Store, key: bytes, subscription: Subscription) -> str:
    """The token of a subscription, which the database knows from now on; `wish` is kept where it is new."""
    made = compute_unsubscribe_token(key, subscription)
    kept = (
        store.get_subscription(subscription.address, subscription.kind, subscription.association)
        or subscription
    )
    if kept.token_hash != hash_token(made):
        store.save_subscription(replace(kept, token_hash=hash_token(made)))
    return made
