"""The checks that look at how an association's site and its accounts lead to each other.

The checks that look at names: what an account or a site calls itself, and what its address does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Literal

from auditor.rules.checks.base import Check, shown, sign_of, untold
from auditor.rules.context import Case, Held, Sign
from auditor.rules.link_reciprocity import is_partial, profile_leads, site_leads
from auditor.rules.name_matching import account_named, akin_handles, expected, names_it, names_of, site_named
from probes.discovery.ignored_accounts import bare
from probes.models.finding import Kind
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
