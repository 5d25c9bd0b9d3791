"""The checks that look at how an association's site and its accounts lead to each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from auditor.case import Case, Held, Sign
from auditor.checks.check import Check, shown, untold
from storage.model import State


class Proposed(Check):
    """An account that the association's own site names and nobody registered.

    It is gone from there only when every one of its sites was read tonight: a wall hides what it names.
    """

    check: Literal["proposed"]

    def signs(self, case: Case) -> Iterator[Sign]:
        """A sign for each proposal that still stands on the site."""
        sites = case.sites()
        all_read = bool(sites) and all(site.tonight for site in sites)
        for proposal in case.proposals:
            link, fresh = proposal.link, proposal.last_seen >= case.began
            if self.channels and link.channel not in self.channels:
                continue
            taken = (link.channel, link.key) in case.disowned or any(
                held.names(link) for held in case.accounts
            )
            if taken or (all_read and not fresh):
                continue
            params = {"url": link.canonical, "found_on": link.page, "source": link.source}
            yield Sign(link.channel, link.key, decided=fresh, params=params)


class NotLinked(Check):
    """The association's site was read and does not lead to an account that is registered."""

    check: Literal["not_linked"]

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign for each account none of the sites that were read leads to."""
        if held.row.channel == "website" or not held.is_account:
            return
        sites = case.sites()
        if not sites or held.standing.state is State.GONE:
            if any(case.on("website")):
                yield untold(held)
            return
        found = [link for site in sites if site.seen for link in site.seen.links]
        if any(map(held.names, found)):
            return
        if any(map(held.may_be, found)):
            yield untold(held)
        else:
            params = {**shown(held, case), "pages": sites[0].url}
            decided = any(site.tonight for site in sites)
            yield Sign(held.row.channel, held.subject, decided=decided, params=params)
