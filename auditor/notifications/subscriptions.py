"""What people want to receive: a word on a subscription, whoever gives it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from auditor.config.notifications import is_mail, key_of
from auditor.config.schema import Config
from auditor.core.errors import InputError
from auditor.notifications.drafts import DIGEST, MONTHLY
from storage.models.communication import Subscription
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
