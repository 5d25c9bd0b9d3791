"""The checks that look at names: what an account or a site calls itself, and what its address does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Literal

from auditor.rules.checks.base import Check, shown, sign_of, untold
from auditor.rules.context import Case, Held, Sign
from auditor.rules.name_matching import account_named, akin_handles, expected, names_it, names_of, site_named
from probes.discovery.ignored_accounts import bare
from probes.models.account import Kind
from storage.models.audit import State

NUMBERS = ("id:", "UC")
ORGANISATIONS = frozenset({Kind.PROFILE, Kind.PAGE})


class NameDiffers(Check):
    """An account whose public name does not resemble any of the association's."""

    check: Literal["name_differs"]

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign where the two can be compared and differ."""
        named = account_named(held, case)
        if named is None:
            yield untold(held)
        elif not named and held.seen is not None:
            facts = {"expected": expected(case.association), "found": held.seen.name or ""}
            yield sign_of(held, {**shown(held, case), **facts})


class NotNamed(Check):
    """A site whose title, first heading and signature name somebody else, or nobody."""

    check: Literal["not_named"]

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign where they can be compared with the association's names and differ."""
        named = site_named(held, case)
        if named is None:
            yield untold(held)
        elif not named and held.seen is not None:
            title = held.seen.facts.get("title") or held.seen.name or held.url
            facts = {"expected": expected(case.association), "page_title": title}
            yield sign_of(held, {**shown(held, case), **facts})


class HandlesDiffer(Check):
    """User names of an association's accounts that have nothing in common. Only the registry is looked at.

    Two that both name the association, in full or by its initials, are its own in two ways; two in
    different alphabets cannot be compared.
    """

    check: Literal["handles_differ"]

    def signs(self, case: Case) -> Iterator[Sign]:
        """One sign for the association, where two of its channels have such names."""
        named = {(held.row.channel, bare(held.subject)) for held in case.accounts if self._has_name(held)}
        ours = {name for _, name in named if names_it(name, names_of(case.association))}
        apart = any(
            one[0] != other[0] and not {one[1], other[1]} <= ours and akin_handles(one[1], other[1]) is False
            for one, other in combinations(sorted(named), 2)
        )
        if apart:
            yield Sign("", params={"handles": " · ".join(name for _, name in sorted(named))})

    def _has_name(self, held: Held) -> bool:
        """Whether an account of an organisation is known by a name, and not by a number."""
        row, key = held.row, held.row.identity.key or ""
        audited = not self.channels or row.channel in self.channels
        standing = row.identity.kind in ORGANISATIONS and held.standing.state is not State.GONE
        return audited and standing and bool(key) and not key.startswith(NUMBERS) and not bare(key).isdigit()
