"""The checks that look at how an association's site and its accounts lead to each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from auditor.rules.checks.base import Check, shown, sign_of, untold
from auditor.rules.context import Case, Held, Sign
from auditor.rules.link_reciprocity import is_partial, profile_leads, site_leads
from storage.models.audit import State


class Proposed(Check):
    """An account that the association's own site names and nobody registered.

    It is gone from there only when every one of its sites was read tonight: a wall hides what it names.
    One that may be a registered account under another name cannot be told.
    """

    check: Literal["proposed"]

    def signs(self, case: Case) -> Iterator[Sign]:
        """A sign for each proposal that still stands on the site."""
        sites = case.sites()
        all_read = bool(sites) and all(site.tonight and not is_partial(site) for site in sites)
        for proposal in case.proposals:
            link, fresh = proposal.link, proposal.last_seen >= case.began
            if self.channels and link.channel not in self.channels:
                continue
            known = case.knows(link)
            if known or (all_read and not fresh):
                continue
            told = {"url": link.canonical, "found_on": link.page, "source": link.source}
            holds = True if known is False else None
            yield Sign(link.channel, link.key, holds, decided=fresh, params={**told, "snippet": link.snippet})


class LinksToGone(Check):
    """A site that still leads to an account of its association whose loss is confirmed."""

    check: Literal["links_to_gone"]

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign for each site that does, with the dead links."""
        if held.seen is None:
            yield untold(held)
            return
        gone = [one for one in case.accounts if one is not held and one.standing.state is State.GONE]
        links = [link for link in held.seen.links if any(one.names(link) for one in gone)]
        if links:
            told = {"links": " ".join(link.canonical for link in links), "found_on": links[0].page}
            yield sign_of(held, {**shown(held, case), **told})


class NoBacklink(Check):
    """An account that does not mention its association's site, where all its links were read.

    The fact `links_read` says so: few platforms show a visitor more than the first of an account's links.
    """

    check: Literal["no_backlink"]

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign where the site is there and the account could lead to it."""
        if held.row.channel == "website":
            return
        sites = [site for site in case.on("website") if site.seen is not None]
        if held.seen is None or not sites or not held.seen.facts.get("links_read"):
            yield untold(held)
        elif not profile_leads(held, case):
            yield sign_of(held, {**shown(held, case), "website": sites[0].url})


class NotLinked(Check):
    """The association's site was read and does not lead to an account that is registered."""

    check: Literal["not_linked"]

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign for each account none of the sites that were read leads to."""
        if held.row.channel == "website" or not held.is_account:
            return
        leads = None if held.standing.state is State.GONE else site_leads(held, case)
        if leads is None:
            if any(case.on("website")):
                yield untold(held)
        elif not leads:
            sites = case.sites()
            params = {**shown(held, case), "pages": sites[0].url}
            decided = any(site.tonight for site in sites)
            yield Sign(held.row.channel, held.subject, decided=decided, params=params)
