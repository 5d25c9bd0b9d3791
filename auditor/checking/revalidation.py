"""Which earlier look may be made again: one that told what a site is, kept whole, and would tell it again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from hashlib import sha256

from auditor.evidence.codec import answer_of
from probes.channels import website
from probes.links import channel_registry
from probes.models.finding import Presence
from probes.models.http import Ask, Page
from probes.runner.revalidate import Answered, Bodies, Past
from storage.models.audit import AccountRow, Evidence, LastLook, Observation

EVERY = 28
"""Nights after which a site is read anew though nothing changed: `_lasts` may have a hole.

And a platform's page kept anew: what somebody has taken off it since is not to be shown for ever.
"""

NOTHING = sha256(b"").hexdigest()


def past(row: AccountRow, last: LastLook | None, version: int, day: date, bodies: Bodies) -> Past | None:
    """The last look at an account, where tonight's may repeat it; None where the probe has to look.

    `version` is the probe's own, tonight.
    """
    if last is None or last.look.probe_version != version:
        return None
    if not (is_possible(row, day) and is_young(row, last.day, day)):
        return None
    look = last.look
    if not (_is_whole(look.evidence) and _is_of(row, look) and _lasts(look, day)):
        return None
    return Past(look.finding, tuple(map(_answered, look.evidence)), bodies)


def is_possible(row: AccountRow, day: date) -> bool:
    """Whether it is a site, and not its night to be read anew: each night that of one in `EVERY`."""
    return row.channel == channel_registry.SITE and _since_its_night(row, day) > 0


def is_young(row: AccountRow, since: date, day: date) -> bool:
    """Whether no night to look anew has come for an account since a day."""
    return _since_its_night(row, day) >= (day - since).days


def _since_its_night(row: AccountRow, day: date) -> int:
    return ((row.id or 0) + day.toordinal()) % EVERY


def _is_of(row: AccountRow, last: Observation) -> bool:
    """Whether it looked at what is registered now: a link may be corrected and name the same site.

    Before a page is called gone, the link to the letter is asked, too.
    """
    if last.evidence[0].url != website.registered(row.identity, row.typed):
        return False
    asked = {url for piece in last.evidence if piece.registered for url in (piece.url, piece.final_url)}
    stands = last.finding.presence is Presence.PRESENT and "redirected_home" not in last.finding.facts
    return stands or website.to_the_letter(row.typed, asked=asked) is None


def _lasts(last: Observation, day: date) -> bool:
    """Whether the same pages tell on a day what they told, and are its own.

    One that repeats a look and took its own time has no page by which tonight's could be compared; what a
    test of once a month showed (`decoy_on`) is of its own day; and a site may speak of a day that comes.
    """
    finding = last.finding
    if (last.as_before and last.times) or finding.presence is Presence.UNKNOWN or "decoy_on" in finding.facts:
        return False
    until = finding.facts.get("tells_until")
    return not isinstance(until, str) or day < date.fromisoformat(until)


def _is_whole(evidence: Sequence[Evidence]) -> bool:
    """Whether everything that was asked and came is still known."""
    return bool(evidence) and evidence[0].registered and not any(piece.thinned for piece in evidence)


def _answered(piece: Evidence) -> Answered:
    ask = Ask(piece.url, registered=piece.registered, insecure=piece.insecure)
    digest = piece.came or piece.digest or ("" if piece.withheld else NOTHING)
    answer = answer_of(piece, digest=digest)
    return Answered(ask, answer, kept=isinstance(answer, Page) and piece.came is None and bool(piece.digest))
