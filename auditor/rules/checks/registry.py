"""The checks that look at the registry alone: what is listed, what is not, and what is listed twice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Literal

from pydantic import Field

from auditor.reference.gap_catalogue import Catalogue
from auditor.rules.checks.base import Check, day, shown
from auditor.rules.context import Case, Held, Sign, may_be_one
from probes.models.finding import Kind
from storage.models.audit import REACHES, Association, State


class Undeclared(Check):
    """No account of a channel is registered, and nobody decided so.

    A cell that says "none" registers nothing; one that cannot be read may mean an account, and so may
    a short link, whose owner only a look can tell.
    """

    check: Literal["undeclared"]

    def signs(self, case: Case) -> Iterator[Sign]:
        """One sign for each channel without an account."""
        for channel in self.channels:
            if channel not in case.none_by_choice | case.moved and not any(
                map(_may_be_one, case.on(channel))
            ):
                yield Sign(channel, params={"checked_at": day(case.now)})

    def rehearse(self, words: Catalogue) -> None:
        """Refuse a rule that names no channels, too."""
        super().rehearse(words)
        if not self.channels:
            raise ValueError(f"rule {self.code!r}: say which channels an association should have")


def _may_be_one(held: Held) -> bool:
    return held.row.identity.key is not None or held.row.identity.kind in {Kind.INVALID, Kind.SHORT}


class KindIs(Check):
    """A registered link that is of one of these kinds. Only the registry is looked at."""

    check: Literal["kind_is"]
    kinds: tuple[Kind, ...] = Field(min_length=1)

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign for each such link."""
        if held.row.identity.kind in self.kinds:
            facts = {**shown(held, case), "kind": str(held.row.identity.kind), "found_on": "registry"}
            yield Sign(
                held.row.channel or held.row.column, held.subject, params={**facts, "typed": held.row.typed}
            )


class ColumnHoldsChannel(Check):
    """A platform's link typed in the website column. It counts as that platform's account."""

    check: Literal["column_holds_channel"]
    column: str = "website"

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign for each such cell."""
        row = held.row
        if row.column == self.column != row.channel and row.identity.kind not in {Kind.INVALID, Kind.NONE}:
            yield Sign(self.column, held.subject, params={**shown(held, case), "channel": row.channel})


class Duplicate(Check):
    """Several accounts of one association on one channel, none of them lost.

    Two names that cannot be compared, a number and a handle, may be one account: that cannot be told.
    """

    check: Literal["duplicate"]

    def signs(self, case: Case) -> Iterator[Sign]:
        """One sign for each channel with more than one account."""
        for channel in self.channels or sorted({held.row.channel for held in case.accounts}):
            kept = [
                held for held in case.on(channel) if held.is_account and held.standing.state is not State.GONE
            ]
            distinct = [
                held for at, held in enumerate(kept) if not any(_same(held, other) for other in kept[:at])
            ]
            if any(not may_be_one(one.keys, other.keys) for one, other in combinations(distinct, 2)):
                yield Sign(
                    channel, params={"url": distinct[0].url, "urls": " ".join(one.url for one in distinct)}
                )


class Incomplete(Check):
    """An entry of the registry that lacks what is needed to write to an association and to know it again.

    A telephone will do for an address, and a name in Arabic letters is one in Arabic, wherever it stands.
    """

    check: Literal["incomplete"]
    fields: tuple[Literal["name_ar", "name_fr", "email", "region", "city", "phone"], ...] = Field(
        min_length=1
    )

    def signs(self, case: Case) -> Iterator[Sign]:
        """One sign for the association, with every field that it lacks."""
        lacking = [field for field in self.fields if not _given(case.association, field)]
        if lacking:
            yield Sign("", params={"fields": " ".join(lacking)})


def _given(association: Association, field: str) -> bool:
    if field in REACHES:
        return field in association.reached or (field == "email" and bool(association.reached))
    arabic = any("\u0621" <= letter <= "\u064a" for letter in association.name)
    in_name = {"name_ar": arabic, "name_fr": not arabic}.get(field, False)
    return in_name or bool(getattr(association, field))


def _same(held: Held, other: Held) -> bool:
    return bool(held.keys & other.keys)


class Shared(Check):
    """One account that two associations register."""

    check: Literal["shared"]

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign for each account another association registers too."""
        others = case.shared.get((held.row.channel, held.subject), ())
        if held.is_account and others:
            yield Sign(held.row.channel, held.subject, params={**shown(held, case), "other": others[0]})
