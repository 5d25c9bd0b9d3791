"""What people want to receive: a word on a subscription, whoever gives it."""

from __future__ import annotations

from datetime import datetime

from auditor.config import Config
from auditor.drafts import DIGEST, MONTHLY
from auditor.errors import InputError
from auditor.notify import is_mail, key_of
from storage.store import Store
from storage.talk import Subscription


def keep(
    store: Store, config: Config, address: str, association: str, *, wanted: bool, now: datetime
) -> None:
    """Keep whether an address wants the digest, or an association's monthly report.

    Raises InputError: no address, no such association, or a digest for somebody whom the configuration
    does not list (it alone says who gets it).
    """
    bare = address.removeprefix("mailto:")
    if not is_mail(bare):
        raise InputError(address, "this is no mail address", "name@example.org")
    if association and store.association(association) is None:
        raise InputError(association, "no association has this id", "`auditor report` lists them")
    listed = any(one.key == key_of(bare) for one in config.notify.recipients)
    if wanted and not association and not listed:
        remedy = "list it in [[notify.recipients]], or name its --association"
        raise InputError(address, "the digest goes to those whom the configuration lists", remedy)
    kind = MONTHLY if association else DIGEST
    known = store.subscription(key_of(bare), kind, association)
    token_hash = known.token_hash if known else None
    store.subscribe(Subscription(key_of(bare), kind, wanted, now, association, token_hash))
