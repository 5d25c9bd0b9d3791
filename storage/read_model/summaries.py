"""What lists read: a summary of each association, kept beside what it was made of.

Whatever changes an association marks it stale in the same transaction;
`auditor.evaluation.run_results.refresh` makes the stale summaries anew, and whoever reads calls it first
(with nothing stale it is three tiny queries). A page is read with these, all of them parts of `Store`:

- `summaries(facets, search=, sort=, after=, limit=) -> SummaryPage`: associations that have every facet and,
  for every folded word, a word that begins with it. Sorts: urgency, name, changed (`lists`).
- `told_gaps(code=, channel=, severity=, region=, after=, limit=) -> GapPage`: the gaps that faces show, the
  gravest first; `changes(since, which, after=, limit=) -> GapPage`: what opened or closed (`gap_lists`).
- `tally(cohort, prefix)`, `tallies(cohorts, facets)`, `cohorts(kind, at_least=)`: sums as of now;
  `figures(night_ids, cohorts)`: those of concluded nights; `judged_nights(count)` (`tallies`).
- `holdings(ids)`, `named(keys)`: what a few associations' views are made of (`holdings`).

A cursor (`after`, and `next` of a page) is an opaque short string; one that is none begins at the beginning.
Counts stop at 5,000: then `exact` is False, and there are more than `count`.

Facets: `region:…` (by `auditor.evaluation.summary.place`), `city:…`, `tag:…`, `level:…`, `worst:<severity>`,
`none` (nothing is open), `gaps` (something is), `gap:<code>`, `gap:<code>@<channel>`, `on:<channel>` (an open
gap there), `<channel>:<state>`, `any:<state>`, `untold:<channel>:<reason>`, `proposals` (somebody is to be
asked about a found account). `auditor.evaluation.summary.facets` makes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Text, delete, select, tuple_, type_coerce, update

from probes.models.finding import NEVER
from storage import consistency
from storage.batching import parts
from storage.database.connection import Database
from storage.models.summaries import EVERYBODY, MOVES, NETWORK, Basis, Listing
from storage.sanitize import clean
from storage.tables.core import GAP, Noun
from storage.tables.summaries import BASIS, FACET, STALE, SUMMARY, TALLY

COHORTS = ("region:", "tag:")
"""The facets whose associations are a cohort, with tallies of its own."""

GROUPS = ("region:", "city:", "tag:", "word:")
"""The facets that are not counted within a cohort."""

WORD = "word:"
"""The facets of words: of everybody's names, so there are too many to be counted."""

MOVED = ("opened:", "closed:", "open:")
"""What begins so finds nobody: it is counted alone, in cohorts of its own."""

PLACE = ("facet", "urgency", "association")
FLAGS = ("told", "shown", "rank")

_Found = tuple[str, int, str]
"""By which facet who is found: in which place, by urgency."""

_Weighed = tuple[int, Mapping[str, int]]
"""How urgent an association is, and its facets, each with how much it counts."""

_NOWHERE: _Weighed = (0, {})

_SUMMARY = cast("Noun", SUMMARY.c.summary.type)


class Summaries:
    """The queries that keep summaries. A part of `Store`."""

    _database: Database

    def rebase(self, basis: Basis) -> None:
        """Mark every association where the summaries were made by something else than this.

        As of a later night it is those that this night may tell otherwise: what else it changed is marked.
        Where they are made as of a later one already, nothing is to be done.
        """
        with self._database.reading() as connection:
            if _is_made(_basis(connection), basis):
                return
        with self._database.writing() as connection:
            before = _basis(connection, hold=True)
            if _is_made(before, basis):
                return
            row = {"id": 1, "basis": basis.judged, "began": basis.began}
            self._database.upsert(connection, BASIS, [row], ("id",))
            if before and before.judged == basis.judged and before.began and basis.began:
                consistency.mark_turned(self._database, connection, basis.began.date())
            else:
                consistency.mark_all(self._database, connection)

    def stale(self, limit: int) -> dict[str, str]:
        """Associations whose summaries must be made anew, each with the mark that says so."""
        with self._database.reading() as connection:
            rows = connection.execute(select(STALE).order_by(STALE.c.association).limit(limit)).all()
        return {row.association: row.mark for row in rows}

    def put_summaries(self, listings: Iterable[Listing], marks: Mapping[str, str], basis: Basis) -> bool:
        """Keep what was made of the marked associations, all that belongs to it, in one transaction.

        A marked one without a listing is taken away. One that was marked again meanwhile stays marked and as
        it was. False, and nothing kept, where the summaries are made by another basis by now.
        """
        made = {listing.summary.id: clean(listing) for listing in listings}
        with self._database.writing() as connection:
            if _basis(connection, hold=True) != basis:
                return False
            ids = [one for some in parts(sorted(marks)) for one in _unmarked(connection, some, marks)]
            for some in parts(ids):
                _Batch(self._database, connection, some, made).put()
        return True


def take_away(database: Database, connection: Connection, associations: Sequence[str]) -> None:
    """Take associations out of the lists and sums at once, and the sums away that are of nobody any more."""
    _Batch(database, connection, associations, {}).put()
    connection.execute(delete(TALLY).where(TALLY.c.count == 0))


class _Batch:
    """A few associations on their way into the tables."""

    def __init__(
        self, database: Database, connection: Connection, ids: Sequence[str], made: Mapping[str, Listing]
    ) -> None:
        self._database = database
        self._connection = connection
        self._ids = ids
        self._listings = [made[one] for one in ids if one in made]

    def put(self) -> None:
        """Write them in place of what was there."""
        columns = [
            type_coerce(one, Text).label(one.name) if one is SUMMARY.c.summary else one for one in SUMMARY.c
        ]
        there = self._connection.execute(select(*columns).where(SUMMARY.c.association.in_(self._ids))).all()
        new = {one.summary.id: _columns(one) for one in self._listings}
        same = {row.association for row in there if _is_same(row, new.get(row.association))}
        self._replace(
            {row.association: row for row in there if row.association not in same},
            {association: row for association, row in new.items() if association not in same},
        )
        self._flags()

    def _replace(self, old: Mapping[str, Any], new: Mapping[str, Mapping[str, Any]]) -> None:
        """Write what is not as it was: of most a night changes nothing."""
        before = {association: (row.urgency, row.facets) for association, row in old.items()}
        after = {association: (row["urgency"], row["facets"]) for association, row in new.items()}
        gone, come, counted = set[_Found](), set[_Found](), Counter[tuple[str, str]]()
        for association in {**before, **after}:
            then, now = before.get(association, _NOWHERE), after.get(association, _NOWHERE)
            gone |= _found(association, then, now)
            come |= _found(association, now, then)
            counted.update(_added(then[1], now[1]))
        self._facets(gone, come)
        self._rows(before.keys() - after.keys(), new.values())
        self._tally({at: count for at, count in counted.items() if count})

    def _facets(self, gone: set[_Found], new: set[_Found]) -> None:
        if gone:
            old = self._database.listed(FACET, PLACE, sorted(gone))
            self._connection.execute(delete(FACET).where(tuple_(*(FACET.c[name] for name in PLACE)).in_(old)))
        if new:
            listed = self._database.listed(FACET, PLACE, sorted(new))
            self._connection.execute(FACET.insert().from_select(PLACE, listed))

    def _rows(self, left: Iterable[str], new: Iterable[Mapping[str, Any]]) -> None:
        self._connection.execute(delete(SUMMARY).where(SUMMARY.c.association.in_(left)))
        self._database.upsert(self._connection, SUMMARY, new, ("association",))

    def _tally(self, counted: Mapping[tuple[str, str], int]) -> None:
        rows = [{"cohort": at[0], "facet": at[1], "count": count} for at, count in sorted(counted.items())]
        if rows:
            insert = self._database.insert(TALLY)
            sums = {"count": TALLY.c.count + insert.excluded.count}
            key = ["cohort", "facet"]
            self._connection.execute(insert.on_conflict_do_update(index_elements=key, set_=sums), rows)

    def _flags(self) -> None:
        columns = (GAP.c[name] for name in ("id", *FLAGS))
        rows = self._connection.execute(select(*columns).where(GAP.c.association.in_(self._ids))).all()
        wanted = {
            gap: (True, gap in one.shown, rank) for one in self._listings for gap, rank in one.told.items()
        }
        flags = {gap: wanted.get(gap, (False, False, rank)) for gap, _, _, rank in rows}
        changed = [(gap, *flags[gap]) for gap, *old in rows if flags[gap] != tuple(old)]
        if changed:
            new = self._database.listed(GAP, ("id", *FLAGS), changed).subquery()
            values = {name: new.c[name] for name in FLAGS}
            self._connection.execute(update(GAP).where(GAP.c.id == new.c.id).values(values))


def _basis(connection: Connection, *, hold: bool = False) -> Basis | None:
    """By what the summaries are made. With `hold` nobody else changes it meanwhile."""
    query = select(BASIS)
    row = connection.execute(query.with_for_update() if hold else query).one_or_none()
    return Basis(row.basis, row.began) if row else None


def _is_made(before: Basis | None, basis: Basis) -> bool:
    """Whether summaries that are made by the one are made by the other, or as of a later night than that."""
    if before is None or before.judged != basis.judged:
        return False
    return before == basis or (before.began or NEVER) > (basis.began or NEVER)


def _is_same(row: Any, new: Mapping[str, Any] | None) -> bool:
    """Whether a row says what it would say anew."""
    if new is None or row.facets != new["facets"]:
        return False
    return all(
        getattr(row, name) == (_SUMMARY.process_bind_param(value, None) if name == "summary" else value)
        for name, value in new.items()
    )


def _unmarked(connection: Connection, ids: Sequence[str], marks: Mapping[str, str]) -> list[str]:
    """Take the marks away that are still those that were seen, and say whose they were."""
    there = connection.execute(select(STALE).where(STALE.c.association.in_(ids)).with_for_update()).all()
    seen = [row.association for row in there if row.mark == marks[row.association]]
    connection.execute(delete(STALE).where(STALE.c.association.in_(seen)))
    return seen


def _weighed(listing: Listing) -> dict[str, int]:
    return {**listing.facets, **dict.fromkeys((WORD + word for word in listing.words), 0), **listing.moves}


def _finds(facet: str) -> bool:
    return not facet.startswith(MOVED)


def _found(association: str, one: _Weighed, other: _Weighed) -> set[_Found]:
    """The places in which an association is found the one way and not the other."""
    urgency, facets = one
    names = facets.keys() - other[1].keys() if urgency == other[0] else facets
    return {(facet, urgency, association) for facet in names if _finds(facet)}


def _added(then: Mapping[str, int], now: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """By how much the tallies change where an association's facets were `then` and are `now`."""
    theirs, ours = _cohorts(then), _cohorts(now)
    if then and now and theirs == ours:
        return _counts(ours, {facet: now.get(facet, 0) - then.get(facet, 0) for facet in {**then, **now}})
    counted = Counter(_counts(ours, {EVERYBODY: 1, **now}) if now else {})
    counted.subtract(_counts(theirs, {EVERYBODY: 1, **then}) if then else {})
    return counted


def _cohorts(facets: Mapping[str, int]) -> list[str]:
    """The cohorts that an association found by these facets belongs to."""
    return [NETWORK, *sorted(facet for facet in facets if facet.startswith(COHORTS))]


def _counts(cohorts: Iterable[str], counted: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """These counts in the tallies of each cohort."""
    told = {}
    for cohort in cohorts:
        for facet, count in counted.items():
            if count and not _finds(facet):
                told[MOVES + cohort, facet] = count
            elif count and (cohort == NETWORK or not facet.startswith(GROUPS)):
                told[cohort, facet] = count
    return told


def _columns(listing: Listing) -> dict[str, Any]:
    changed = listing.summary.changed_at
    return {
        "association": listing.summary.id,
        "summary": listing.summary,
        "facets": _weighed(listing),
        "words": f" {' '.join(listing.words)} ",
        "urgency": listing.urgency,
        "sorted": listing.sorted,
        "changed": -int(changed.timestamp()) if changed else 0,
        "until": listing.until,
    }
