"""The one read model: the whole network as of a moment. Every face renders it and none asks the store.

It says what is known, since when, and how far what is unknown could take it; it punishes nobody for a
night on which nothing could be told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from auditor.config.schema import Config
from auditor.evaluation.association_view import AssociationView, view
from auditor.evaluation.reevaluate import History
from auditor.evaluation.run_results import AT_ONCE, assembled, owners_at, present, refresh
from auditor.evaluation.summary import Chosen, Coverage, coverage
from auditor.rules.association import Moment, keys_of, owners_of
from probes.models.finding import Presence, Reason
from storage.models.audit import Gap, Night, NightState
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Overview:
    """The network as of a moment.

    `opened` and `closed` are the gaps that moved since `since` (the newest concluded night, unless
    another moment is asked for); `untold` counts the accounts whose last look told nothing, by channel
    and reason.
    """

    as_of: datetime
    since: datetime | None
    night: Night | None
    counts: Mapping[tuple[str, Presence], int]
    associations: tuple[AssociationView, ...]
    coverage: tuple[Coverage, ...]
    opened: tuple[Gap, ...]
    closed: tuple[Gap, ...]
    untold: Mapping[tuple[str, Reason | None], int]

    def count(self, presence: Presence) -> int:
        """How many accounts the newest night found so."""
        return sum(count for (_, found), count in self.counts.items() if found is presence)

    def association(self, identifier: str) -> AssociationView | None:
        """The view of an association."""
        return next((view for view in self.associations if view.association.id == identifier), None)


def overview(store: Store, config: Config, as_of: datetime, *, since: datetime | None = None) -> Overview:
    """Build the read model as of a moment. The past is folded anew from what was recorded until then."""
    nights = [night for night in store.nights() if night.started_at <= as_of]
    last = nights[-1] if nights else None
    concluded = [night for night in nights if night.state is NightState.DONE]
    since = since or (concluded[-1].started_at if concluded else None)
    seen = tuple(views(store, config, as_of))
    rows = [gap for view in seen for gap in view.all_gaps if gap not in view.waived]
    return Overview(
        as_of=as_of,
        since=since,
        night=last,
        counts=store.counts(last.id) if last and last.id is not None else {},
        associations=seen,
        coverage=tuple(coverage(seen, config)),
        opened=tuple(gap for gap in rows if since and gap.opened_at and gap.opened_at >= since),
        closed=tuple(
            gap for gap in rows if since and gap.opened_at and gap.closed_at and gap.closed_at >= since
        ),
        untold=_untold(seen),
    )


def views(
    store: Store, config: Config, as_of: datetime, chosen: Chosen | None = None
) -> Iterator[AssociationView]:
    """The associations one at a time, for faces that need not hold a whole register in memory.

    Of those that are `chosen` alone, if somebody chose; then no other is looked at.
    """
    night = store.judged_night()
    if night is not None and night.started_at > as_of:
        seen = _past(store, config, as_of)
    else:
        seen = _present(store, config, as_of, _ids(store, config, chosen))
    return chosen.of(seen, config.channels) if chosen else seen


def association_view(store: Store, config: Config, association: str, now: datetime) -> AssociationView | None:
    """One association as it stands, without a look at any other; None where the sheet does not list it."""
    return next(_present(store, config, now, [association]), None)


def _ids(store: Store, config: Config, chosen: Chosen | None) -> Iterator[str]:
    if chosen is None or not (chosen.facets or chosen.words):
        return (one.id for one in store.associations())
    refresh(store, config)
    return _found(store, chosen)


def _found(store: Store, chosen: Chosen) -> Iterator[str]:
    last = ""
    while ids := store.ids(chosen.facets, search=chosen.words, after=last, limit=AT_ONCE):
        yield from ids
        last = ids[-1]


def _present(store: Store, config: Config, now: datetime, ids: Iterable[str]) -> Iterator[AssociationView]:
    """These associations as they stand, some at a time, each beside those that register the same accounts."""
    moment, waiting = present(store, now), iter(ids)
    while some := list(islice(waiting, AT_ONCE)):
        held = store.holdings(some)
        told = list(assembled(held.associations, held))
        rows = store.named({key for dossier in told for key in keys_of(dossier)})
        words = store.words({row.association for row in rows})
        owners = owners_of(rows, moment.now, words, moment.began)
        yield from (view(dossier, config, moment, owners) for dossier in told)


def _past(store: Store, config: Config, as_of: datetime) -> Iterator[AssociationView]:
    """Everybody as they stood at a moment before the newest night: folded anew from what was recorded."""
    until = [night for night in store.judged_nights() if night.started_at <= as_of]
    moment = Moment(until[-1].started_at if until else as_of, as_of)
    owners, history = owners_at(store, as_of, moment.began), History(store, config, until)
    for association in store.associations():
        yield view(history.rebuilt(association), config, moment, owners)


def _untold(seen: Iterable[AssociationView]) -> dict[tuple[str, Reason | None], int]:
    accounts = [account for view in seen for account in view.accounts]
    return dict(
        Counter(
            (account.channel, account.latest_reason)
            for account in accounts
            if account.latest is Presence.UNKNOWN
        )
    )
