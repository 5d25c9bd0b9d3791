"""The tokens by which a subscription is ended from a mail, and the key they are made with.

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
from pathlib import Path

from auditor.config.validation_errors import lower
from auditor.core.errors import ConfigError
from auditor.core.tokens import digest
from storage.models.communication import Subscription
from storage.store import Store

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
