"""Subscriptions to digests and monthly reports, and the tokens of their unsubscribe links.

A link in an old mail must still work, so the token of a subscription never changes. It is computed
from a key in the data folder, and the database stores only its hash. If the key is lost, old links
no longer work.
"""

import contextlib
import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from datetime import datetime
from pathlib import Path

from auditor.config.notifications import is_mail_address, normalize_mail_address
from auditor.config.schema import Config
from auditor.core.errors import ConfigError, InputError
from auditor.core.tokens import hash_token
from auditor.notifications.drafts import DIGEST_KIND, MONTHLY_KIND
from storage.errors import explain_file_error
from storage.store import Store
from storage.tables.communication import Subscription


def save_subscription(
    store: Store, config: Config, address: str, association: str, *, wanted: bool, now: datetime
) -> None:
    """Store whether an address wants the digest, or the monthly report of an association.

    Raises InputError if the address is invalid, the association does not exist, or the address
    would get a digest but is not in the configuration, which alone decides who gets one.
    """
    bare = normalize_mail_address(address.removeprefix("mailto:"))
    if not is_mail_address(bare):
        raise InputError(address, "this is not a mail address", "name@example.org")
    if association and store.registry.get_association(association) is None:
        raise InputError(association, "no association has this id", "`auditor report` lists them")
    recipient_keys = {recipient.key for recipient in config.notify.recipients}
    if wanted and not association and bare not in recipient_keys:
        remedy = "add it to [[notify.recipients]], or name an --association"
        raise InputError(address, "the configuration does not list it for the digest", remedy)
    _store_subscription(
        store,
        Subscription(
            address=bare,
            kind=MONTHLY_KIND if association else DIGEST_KIND,
            is_wanted=wanted,
            changed_at=now,
            association=association,
        ),
    )


def _store_subscription(store: Store, subscription: Subscription) -> None:
    """Store a subscription and keep the hash of its token if it has one."""
    existing = store.subscriptions.get(
        subscription.address, subscription.kind, subscription.association
    )
    subscription.token_hash = existing.token_hash if existing else None
    store.subscriptions.save(subscription)


UNSUBSCRIBE_KEY_FILE = "unsubscribe.key"


def load_unsubscribe_key(folder: Path) -> bytes:
    """Return the key. Create it first if there is none. Raises ConfigError."""
    path = folder / UNSUBSCRIBE_KEY_FILE
    try:
        if not path.exists():
            _create_key_file(path)
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot use the key file {path}", *explain_file_error(error)) from None


def _create_key_file(path: Path) -> None:
    """Create the key file atomically, readable by its owner only.

    If two processes create it at the same time, the key of the first is used.
    """
    new_file = path.with_name(f"{UNSUBSCRIBE_KEY_FILE}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(32))
    with contextlib.suppress(FileExistsError):
        os.link(new_file, path)
    new_file.unlink()


def compute_unsubscribe_token(key: bytes, subscription: Subscription) -> str:
    """Return the token of a subscription."""
    identity = f"{subscription.address}\n{subscription.kind}\n{subscription.association}".encode()
    return urlsafe_b64encode(hmac.digest(key, identity, "sha256")[:24]).decode()


def ensure_unsubscribe_token(store: Store, key: bytes, subscription: Subscription) -> str:
    """Return the token of a subscription and store its hash. A new subscription is stored, too."""
    token = compute_unsubscribe_token(key, subscription)
    existing = store.subscriptions.get(
        subscription.address, subscription.kind, subscription.association
    )
    subscription.token_hash = hash_token(token)
    if existing is None or existing.token_hash != subscription.token_hash:
        store.subscriptions.save_token_hash(subscription)
    return token
