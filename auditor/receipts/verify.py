"""Whether receipts are the ones that were written: each signed, each holding the digest of the one before.

A receipt that is changed is not the one that was signed; a night that is taken out, or put elsewhere, leaves
one that no longer follows. Nobody can tell from here that the newest nights were cut off: for that a digest
has to be known elsewhere. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from auditor.receipts.receipt import digest, is_link
from auditor.receipts.signing import is_genuine, key_of
from storage.models.audit import Night, NightState


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
