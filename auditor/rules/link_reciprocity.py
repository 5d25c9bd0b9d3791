"""How an account and its association's site lead to each other: the ladder of two-way links. Pure.

Only what was read is counted. A page that could not be read, or a link under a name that cannot be
compared with the registered one, leaves it open.
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rules.context import Case, Held, was_read
from probes.links import identify
from probes.models.finding import FoundLink
from storage.models.audit import State

RUNGS = ("reciprocal", "site_only", "profile_only", "registry_only", "contradicted")
"""From the firmest to the one that speaks against the registry."""


def rung(held: Held, case: Case) -> str:
    """Where an account stands on the ladder; a website stands where the best of its accounts does."""
    if held.row.channel == "website":
        pairs = {rung(other, case) for other in case.accounts if other.row.channel != "website"}
        return next((word for word in RUNGS[:3] if word in pairs), "registry_only")
    by_site, by_profile = site_leads(held, case), profile_leads(held, case)
    if by_site or by_profile:
        return "reciprocal" if by_site and by_profile else "site_only" if by_site else "profile_only"
    return "contradicted" if names_another(held, case) or points_elsewhere(held, case) else "registry_only"


def site_leads(held: Held, case: Case) -> bool | None:
    """Whether the association's sites lead to an account; None where that cannot be told."""
    found = list(_on_sites(case))
    if any(map(held.names, found)):
        return True
    sites = [one for one in case.on("website") if one.is_account and one.standing.state is not State.GONE]
    unread = any(site.seen is None or not was_read(site.seen) or is_partial(site) for site in sites)
    return None if not sites or unread or any(map(held.may_be, found)) else False


def profile_leads(held: Held, case: Case) -> bool | None:
    """Whether an account leads to a site of its association; None where its links were not seen."""
    told = _on_profile(held)
    if any(_is_ours(link, case) for link in told):
        return True
    return False if told else None


def names_another(held: Held, case: Case) -> bool:
    """Whether the sites that were read name an account of this channel, and it is none of the registered."""
    mine = [one for one in case.on(held.row.channel) if one.is_account]
    return any(
        link.channel == held.row.channel and not any(one.names(link) or one.may_be(link) for one in mine)
        for link in _on_sites(case)
    )


def points_elsewhere(held: Held, case: Case) -> bool:
    """Whether an account names another association's registered site, though its own has one."""
    own = any(site.is_account for site in case.on("website"))
    return own and any(case.shared.get(("website", key)) for link in _on_profile(held) for key in _keys(link))


def is_partial(site: Held) -> bool:
    """Whether a page on which a site may name more accounts was withheld."""
    return site.seen is not None and "unread" in site.seen.facts


def _on_sites(case: Case) -> Iterator[FoundLink]:
    for site in case.sites():
        if site.seen is not None:
            yield from site.seen.links


def _on_profile(held: Held) -> list[FoundLink]:
    return [link for link in (held.seen.links if held.seen else ()) if link.channel == "website"]


def _is_ours(link: FoundLink, case: Case) -> bool:
    """Whether a link leads to the association's site, to whichever of its pages or its new address."""
    host = link.key.partition("/")[0]
    return any(_within(host, own) for site in case.on("website") for own in _hosts(site))


def _within(host: str, own: str) -> bool:
    """Whether a host is a site's, or a part of it, or what it is a part of."""
    return host == own or host.endswith(f".{own}") or own.endswith(f".{host}")


def _hosts(site: Held) -> set[str]:
    led_to = site.seen.final_url if site.seen else None
    return {
        (site.row.identity.key or "").partition("/")[0],
        identify.host_of(led_to or "").removeprefix("www."),
    } - {""}


def _keys(link: FoundLink) -> tuple[str, str]:
    """The keys under which a site may be registered: the page that is named, and its host."""
    return link.key, link.key.partition("/")[0]
