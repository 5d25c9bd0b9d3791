"""The receipt of a night: what was counted, what it cost, by which versions, chained to the one before.

Whether receipts are the ones that were written: each signed, each holding the digest of the one before.

A receipt that is changed is not the one that was signed; a night that is taken out, or put elsewhere, leaves
one that no longer follows. Nobody can tell from here that the newest nights were cut off: for that a digest
has to be known elsewhere. Pure.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from auditor import __version__
from auditor.checking.canaries import Canary
from auditor.config.schema import Config
from auditor.receipts.signing import SIGNATURE, canonical, fingerprint, is_genuine, key_of
from auditor.rules import engine, score
from probes.links import channel_registry
from probes.models.finding import Finding, Presence
from probes.runner.api_batcher import Purse
from storage.models.audit import Night, NightState
from storage.store import Store

KEPT = frozenset({"blind", "warned"})
"""What one session of a night leaves in the receipt for the next one to judge by."""

SPENT = frozenset(
    {"requests", "retries", "requests_by_host", "requests_elsewhere", "seconds", "interfaces", "gave_up"}
)
"""What it has cost, for the next one to add to."""

SHOWN_HOSTS = 50
"""So many hosts of platforms the receipt of a night that ended names, that of an interrupted one all of them.

Receipts are kept for ever, so they name nobody's own site.
"""

Readings = Sequence[tuple[Canary, Finding]]


def done(
    store: Store,
    night: Night,
    readings: Readings,
    config: Config,
    *,
    blind: Mapping[str, str],
    left_out: Mapping[str, int],
    spent: Mapping[str, Any],
    ended: datetime,
) -> dict[str, Any]:
    """The receipt of a night that was concluded; `left_out` counts whom it did not reach, by channel."""
    assert night.id is not None
    return {
        **_head(store, night, readings, config),
        **_ended(NightState.DONE, ended),
        **counted(store.counts(night.id)),
        **_left_out(left_out),
        "blind": dict(blind),
        **_moved(store, night),
        **_shortened(spent, SHOWN_HOSTS),
    }


def _moved(store: Store, night: Night) -> dict[str, Any]:
    opened, closed = store.moved_at(night.started_at)
    return {
        "opened": sum(opened.values()),
        "closed": sum(closed.values()),
        "opened_by_code": dict(sorted(opened.items())),
        "closed_by_code": dict(sorted(closed.items())),
    }


def skipped(
    store: Store,
    night: Night,
    readings: Readings,
    config: Config,
    *,
    spent: Mapping[str, Any],
    ended: datetime,
) -> dict[str, Any]:
    """The receipt of a night without connectivity: nothing was concluded."""
    return {
        **_head(store, night, readings, config),
        **_ended(NightState.SKIPPED, ended),
        "skipped": "no connectivity",
        **_shortened(spent, SHOWN_HOSTS),
    }


def begun(store: Store, night: Night, readings: Readings, config: Config, due: int) -> dict[str, Any]:
    """What is known before the first account is looked at: all that a night that is killed leaves to tell.

    `due` is how many accounts the night is to look at, those that earlier sessions saw among them.
    """
    return {**_head(store, night, readings, config), "state": NightState.RUNNING.value, "due": due}


def interrupted(
    store: Store, night: Night, *, why: str, spent: Mapping[str, Any], ended: datetime
) -> dict[str, Any]:
    """The receipt of a night that did not come to its end.

    Nothing is concluded of what it saw, unless it died when that was done, before it could say so. Once
    another night is begun, it stands.
    """
    assert night.id is not None
    counts, due = counted(store.counts(night.id)), night.receipt.get("due")
    return {
        **{name: value for name, value in night.receipt.items() if name != SIGNATURE},
        "night": night.day.isoformat(),
        "started_at": _moment(night.started_at),
        "previous": previous(store, night),
        **_ended(NightState.INCOMPLETE, ended),
        "interrupted": why,
        **counts,
        **(_moved(store, night) if store.is_judged(night.id) else {}),
        "left_out": max(0, due - counts["accounts"]) if isinstance(due, int) else None,
        **(_shortened(spent, None) if "requests_by_host" in spent else spent),
    }


def left_out(night: Night) -> int | None:
    """How many accounts a night did not reach; None where nobody can tell, as of one that goes on."""
    told = None if night.state is NightState.RUNNING else night.receipt.get("left_out", 0)
    return told if isinstance(told, int) else None


def carried(night: Night) -> dict[str, Any]:
    """What a session takes over from the ones before it."""
    return {name: value for name, value in night.receipt.items() if name in KEPT | SPENT}


def _ended(state: NightState, ended: datetime) -> dict[str, Any]:
    return {"state": state.value, "finished_at": _moment(ended)}


def _left_out(by_channel: Mapping[str, int]) -> dict[str, Any]:
    told = {channel: count for channel, count in sorted(by_channel.items()) if count}
    return {"left_out": sum(told.values()), "left_out_by_channel": told}


def _moment(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


def _head(store: Store, night: Night, readings: Readings, config: Config) -> dict[str, Any]:
    return {
        "night": night.day.isoformat(),
        "started_at": _moment(night.started_at),
        "canaries": [_canary(canary, finding) for canary, finding in readings]
        or night.receipt.get("canaries", []),
        "software": __version__,
        "rules": {
            "version": engine.VERSION,
            "digest": digest([rule.model_dump(mode="json") for rule in config.rules]),
        },
        "score": score.VERSION,
        "probes": {name: channel_registry.channel(name).VERSION for name in sorted(config.channels)},
        "proxy": config.fetch.proxy is not None,
        "allow_networks": [str(network) for network in config.fetch.allow_networks],
        "previous": previous(store, night),
    }


def _canary(canary: Canary, finding: Finding) -> dict[str, Any]:
    return {
        "channel": canary.channel,
        "link": canary.account.typed,
        "exists": canary.exists,
        "presence": finding.presence.value,
        "reason": finding.reason.value if finding.reason else None,
    }


def counted(counts: Mapping[tuple[str, Presence], int]) -> dict[str, Any]:
    """How many accounts were found how, in all and by channel."""
    channels: dict[str, dict[str, int]] = {}
    for (channel, presence), count in counts.items():
        channels.setdefault(channel, {one.value: 0 for one in Presence})[presence.value] = count
    totals = {one.value: sum(row[one.value] for row in channels.values()) for one in Presence}
    return {"accounts": sum(totals.values()), **totals, "channels": channels}


def spent(
    before: Mapping[str, Any],
    requests: int,
    hosts: Mapping[str, int],
    seconds: float,
    *,
    retries: int = 0,
    others: int = 0,
) -> dict[str, Any]:
    """What a night has cost: this session's requests and seconds on top of earlier sessions'.

    Every platform's host is named while it goes on, so that the next session adds to each; of the `others`
    there is their number.
    """
    by_host = Counter(hosts)
    by_host.update(before.get("requests_by_host") or {})
    elsewhere = before.get("requests_elsewhere") or {}
    return {
        **{name: value for name, value in before.items() if name in KEPT},
        "requests": requests + int(before.get("requests") or 0),
        "retries": retries + int(before.get("retries") or 0),
        "requests_by_host": dict(by_host),
        "requests_elsewhere": {**elsewhere, "hosts": int(elsewhere.get("hosts") or 0) + others},
        "seconds": round(seconds + float(before.get("seconds") or 0), 2),
    }


def also(spent: Mapping[str, Any], workers: Mapping[str, Any]) -> dict[str, Any]:
    """The same with what workers on other machines have asked; of hosts they name platforms' alone."""
    named = Counter(spent["requests_by_host"])
    named.update(workers.get("by_host", {}))
    others = workers.get("requests", 0) - sum(workers.get("by_host", {}).values())
    elsewhere = spent["requests_elsewhere"] or {}
    return {
        **spent,
        "requests": spent["requests"] + workers.get("requests", 0),
        "retries": spent["retries"] + workers.get("retries", 0),
        "requests_by_host": dict(named),
        "requests_elsewhere": {
            "hosts": elsewhere.get("hosts", 0) + workers.get("hosts", 0),
            "requests": elsewhere.get("requests", 0) + others,
        },
    }


def _shortened(spent: Mapping[str, Any], most: int | None) -> dict[str, Any]:
    """The same with hosts of platforms alone, the busiest of them; the others are counted together.

    A host that two sessions of a night asked counts twice among them.
    """
    by_host = Counter(spent["requests_by_host"])
    platforms = Counter(
        {host: count for host, count in by_host.items() if channel_registry.is_everybodys(host)}
    )
    busiest = dict(platforms.most_common(most))
    elsewhere = {
        "hosts": len(by_host) - len(busiest) + int((spent.get("requests_elsewhere") or {}).get("hosts") or 0),
        "requests": spent["requests"] - sum(busiest.values()),
    }
    return {**spent, "requests_by_host": busiest, "requests_elsewhere": elsewhere}


def calls(before: Mapping[str, Any], purses: Mapping[str, Purse]) -> dict[str, Any]:
    """What interfaces have cost, each in its unit; `closed` says why one was left alone."""
    held = before.get("interfaces") or {}
    told = {
        name: {
            "requests": purse.requests + int((held.get(name) or {}).get("requests") or 0),
            "left_out": purse.left_out + int((held.get(name) or {}).get("left_out") or 0),
            "cost": purse.cost,
            "unit": purse.interface.unit,
            "budget": purse.budget,
            "closed": purse.closed[1] if purse.closed else None,
        }
        for name, purse in purses.items()
    }
    return {"interfaces": {**held, **told}} if held or told else {}


def paid(before: Mapping[str, Any]) -> dict[str, float]:
    """What earlier sessions of a night have paid, by channel."""
    held = before.get("interfaces") or {}
    return {name: float(told.get("cost") or 0) for name, told in held.items()}


def is_link(night: Night) -> bool:
    """Whether a night's receipt is written, for good unless it is gone on with: the next one follows it.

    One that was interrupted before receipts were signed is not: nothing holds its digest.
    """
    is_over = night.state in {NightState.DONE, NightState.SKIPPED}
    return is_over or (night.state is NightState.INCOMPLETE and key_of(night.receipt) is not None)


def followed(store: Store, night: Night) -> Night | None:
    """The night whose receipt this one's follows."""
    last = store.last_night(before=night.day)
    if last is None or is_link(last):
        return last
    return store.last_night(NightState.DONE, NightState.SKIPPED, before=night.day)


def previous(store: Store, night: Night) -> str | None:
    """The digest of the receipt before: a receipt that is changed later no longer fits the next one."""
    last = followed(store, night)
    return digest(last.receipt) if last else None


def former_key(store: Store, night: Night, key: str) -> dict[str, str]:
    """Which key signed the receipt before, where it was another: the break is told, not papered over."""
    last = followed(store, night)
    held = key_of(last.receipt) if last else None
    return {"former_key": fingerprint(held)} if held is not None and held != key else {}


def digest(value: Mapping[str, Any] | Iterable[Any]) -> str:
    """The SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()


class Signed(StrEnum):
    """What a receipt's signature says."""

    GENUINE = "genuine"
    CHANGED = "changed"
    STRANGE = "strange"
    NONE = "none"


class Place(StrEnum):
    """How a receipt stands in the chain. `open` is a night that goes on, or whose end nobody wrote."""

    FIRST = "first"
    FOLLOWS = "follows"
    BROKEN = "broken"
    OPEN = "open"


class Fault(StrEnum):
    """What is wrong with a receipt."""

    CHANGED = "changed"
    STRANGE = "strange"
    UNSIGNED = "unsigned"
    ELSEWHERE = "elsewhere"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Link:
    """One night's receipt. `before` is the day of the one it should follow; `new_key`: another key signs."""

    night: Night
    digest: str
    signed: Signed
    place: Place
    key: str | None = None
    before: date | None = None
    fault: Fault | None = None
    new_key: bool = False


def chain(nights: Iterable[Night], known: Collection[str], before: Night | None = None) -> Iterator[Link]:
    """The receipts of nights in their order, each judged beside the one before it.

    `known` are the public keys that sign here; `before` is the link that the first of these follows.
    """
    last = _link(before, None, known) if before else None
    for night in nights:
        link = _link(night, last, known)
        yield link
        if link.place is not Place.OPEN:
            last = link


def _link(night: Night, last: Link | None, known: Collection[str]) -> Link:
    told, key = dict(night.receipt), key_of(night.receipt)
    if not is_link(night):
        return Link(night, digest(told), Signed.NONE, Place.OPEN)
    mark = _signed(night, known)
    fault = _own(night, mark, last)
    place = _place(night, last)
    blamed = last is not None and last.fault in {Fault.CHANGED, Fault.ELSEWHERE}
    if fault is None and place is Place.BROKEN and not blamed:
        fault = Fault.BROKEN
    moved = last is not None and last.key is not None and key is not None and key != last.key
    return Link(night, digest(told), mark, place, key, last.night.day if last else None, fault, moved)


def _signed(night: Night, known: Collection[str]) -> Signed:
    key = key_of(night.receipt)
    if key is None:
        return Signed.NONE
    if not is_genuine(night.receipt):
        return Signed.CHANGED
    return Signed.GENUINE if key in known else Signed.STRANGE


def _own(night: Night, mark: Signed, last: Link | None) -> Fault | None:
    """What is wrong with a receipt, whatever stands before it."""
    if mark is Signed.CHANGED:
        return Fault.CHANGED
    if not _is_here(night):
        return Fault.ELSEWHERE
    if mark is Signed.STRANGE:
        return Fault.STRANGE
    unsigned = mark is Signed.NONE and last is not None and last.key is not None
    return Fault.UNSIGNED if unsigned else None


def _is_here(night: Night) -> bool:
    """Whether a receipt tells of this very night as it is held: its day, its state, its blind channels."""
    told, state = night.receipt, night.receipt.get("state")
    blind = told.get("blind")
    return (
        told.get("night") == night.day.isoformat()
        and state in (None, night.state.value)
        and (
            night.state is not NightState.DONE
            or set(night.blind) == set(blind if isinstance(blind, dict) else ())
        )
    )


def _place(night: Night, last: Link | None) -> Place:
    told = night.receipt.get("previous")
    if last is None:
        return Place.FIRST if told is None else Place.BROKEN
    return Place.FOLLOWS if told == last.digest else Place.BROKEN
