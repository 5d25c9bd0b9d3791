"""The ledger of decisions: which hold, which have ended, and which were taken together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from auditor.core.formatting import instant
from auditor.decisions.parsing import DecisionError, subject
from auditor.i18n.catalogs import phrase
from auditor.rules.account_status import ends_of, in_force, outweighed
from storage.models.audit import AccountRow, Decision, DecisionKind, Standing

SOON = timedelta(days=30)
"""A decision that ends within this time is told as ending, so that somebody can renew it."""


def with_twins(number: str, words: Iterable[Decision], now: datetime) -> list[Decision]:
    """The decision of this number, and its copies for an account that the sheet lists in two columns.

    Raises DecisionError where there is none, or where it does not hold any more.
    """
    known = list(words)
    found = next((word for word in known if str(word.id) == number.strip().removeprefix("#")), None)
    if found is None:
        why, said = "no decision has this number", phrase("There is no such decision.")
        raise DecisionError(number, why, "`auditor decide list` shows them", said=said)
    if found.withdrawn is not None:
        who, day = found.withdrawn.who, found.withdrawn.withdrawn_at.date()
        why, remedy = f"{who} withdrew it on {day}", "`auditor decide list` shows those in force"
        said = phrase("{who} took this back on {date} already.")
        raise DecisionError(number, why, remedy, said=said, who=who, date=day)
    if not in_force([found], now):
        day, remedy = (found.until or now).date(), "nothing has to be withdrawn"
        said = phrase("This ended on {date}: there is nothing to take back.")
        raise DecisionError(number, f"it ended on {day}", remedy, said=said, date=day)
    return [word for word in known if _alike(word) == _alike(found)]


def beside(taken: Iterable[Decision], words: Iterable[Decision], now: datetime) -> list[Decision]:
    """The decisions in force that one breath took with these: the account that one moved to is theirs."""
    back = list(taken)
    ids, breaths = (
        {word.id for word in back},
        {(word.association, word.who, word.decided_at) for word in back},
    )
    held = in_force(words, now)
    return [
        one for one in held if one.id not in ids and (one.association, one.who, one.decided_at) in breaths
    ]


def _alike(word: Decision) -> Decision:
    return replace(word, id=None, account_id=None)


def items(
    decisions: Iterable[Decision],
    accounts: Mapping[int, AccountRow],
    standings: Mapping[int, Standing],
    now: datetime,
) -> list[dict[str, Any]]:
    """The items of `decide list`, in the order they were taken down.

    docs/guides/decisions.md tells their fields.
    """
    return [_item(word, accounts, standings, now) for word in decisions]


def _item(
    word: Decision, accounts: Mapping[int, AccountRow], standings: Mapping[int, Standing], now: datetime
) -> dict[str, Any]:
    row = accounts.get(word.account_id or 0)
    standing = standings.get(word.account_id or 0) or Standing(word.account_id or 0)
    state, until = _state(word, standing, now), ends_of(word, standing)
    withdrawn = word.withdrawn
    return {
        "id": word.id,
        "association": word.association,
        "channel": word.channel,
        "kind": word.kind.value,
        "account": subject(row) if row else word.value,
        "code": word.code,
        "value": word.value,
        "who": word.who,
        "why": word.why,
        "decided_at": instant(word.decided_at),
        "until": instant(until),
        "in_force": state in {"in_force", "ending"},
        "state": state,
        "withdrawn_at": instant(withdrawn.withdrawn_at) if withdrawn else None,
        "withdrawn_by": withdrawn.who if withdrawn else None,
        "withdrawn_why": withdrawn.why if withdrawn else None,
    }


def _state(word: Decision, standing: Standing, now: datetime) -> str:
    """Whether a decision holds: in_force, ending, outweighed, expired or withdrawn."""
    until = ends_of(word, standing)
    if word.withdrawn is not None and word.withdrawn.withdrawn_at <= now:
        return "withdrawn"
    if until is not None and until <= now:
        return "expired"
    if word.kind is DecisionKind.ATTEST and outweighed(word, standing):
        return "outweighed"
    return "ending" if until is not None and until <= now + SOON else "in_force"
