"""The basis: the looks that something rests on, which are never thinned. Pure.

Of each account: the first and last look of every run that found the same, the first of each month, and
whatever its standing dates from. Of the association: every look of a night in which a gap began, opened or
closed, the looks that told of proposals, and what a person had before them when they decided.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from auditor.rules.association import Dossier
from storage.models.audit import Decision, Night, Observation, Standing

At = tuple[int, int]
"""The night and the account of a look."""


def basis(dossier: Dossier, looks: Iterable[Observation], nights: Iterable[Night]) -> set[At]:
    """Those of an association's looks that are kept whole."""
    by_account: dict[int, list[Observation]] = defaultdict(list)
    for look in looks:
        by_account[look.account_id].append(look)
    in_order = {at: sorted(seen, key=lambda look: look.observed_at) for at, seen in by_account.items()}
    told = _nights(dossier, nights)
    found = (row.last_seen for row in dossier.proposals), (row.first_seen for row in dossier.proposals)
    proposed = {moment for moments in found for moment in moments}
    kept: set[At] = set()
    for account, seen in in_order.items():
        standing = dossier.standings.get(account) or Standing(account)
        moments = proposed | _moments(standing)
        kept |= {look.at for look in seen if look.night_id in told or look.observed_at in moments}
        kept |= {look.at for look in (*_ends(seen), *_monthly(seen))}
        words = (word for word in dossier.decisions if word.account_id in (None, account))
        kept |= {look.at for look in _before(words, seen)}
    return kept


def _nights(dossier: Dossier, nights: Iterable[Night]) -> set[int | None]:
    """The nights in which one of the gaps began, opened or closed: each is dated by its night's beginning."""
    moments = {moment for gap in dossier.gaps for moment in (gap.first_seen, gap.opened_at, gap.closed_at)}
    return {night.id for night in nights if night.started_at in moments}


def _moments(standing: Standing) -> set[datetime]:
    streaks = [one for one in (standing.doubt, standing.trouble, standing.other) if one]
    dated = [standing.since, standing.checked_at, standing.decided_at]
    dated += [moment for streak in streaks for moment in (streak.since, streak.last)]
    return {moment for moment in dated if moment}


def _ends(looks: Sequence[Observation]) -> Iterator[Observation]:
    """The first and the last of each run of looks that found the same."""
    yield from looks[:1]
    for one, after in pairwise(looks):
        if _said(one) != _said(after):
            yield one
            yield after
    yield from looks[-1:]


def _said(look: Observation) -> tuple[str, str | None, int]:
    return look.finding.presence, look.finding.reason, look.probe_version


def _monthly(looks: Iterable[Observation]) -> Iterator[Observation]:
    """The first look of each month."""
    month = (0, 0)
    for look in looks:
        if (found := (look.observed_at.year, look.observed_at.month)) != month:
            month = found
            yield look


def _before(words: Iterable[Decision], looks: Sequence[Observation]) -> Iterator[Observation]:
    """The newest look that each word knew of, and the first that could speak against it."""
    for word in words:
        yield from [look for look in looks if look.observed_at <= word.decided_at][-1:]
        yield from [look for look in looks if look.observed_at > word.decided_at][:1]
