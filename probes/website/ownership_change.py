"""A site and what it was when it was last seen well: the mark of a name that somebody else has taken.

No one signal accuses. A redesign, a new publishing system, an English version, a merger or a new name change
some of them; who buys a lapsed name changes the language, the name and more at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from probes.discovery import site_names
from probes.models.finding import Account, Finding, Presence, Reason, Scalar
from probes.models.http import Page
from probes.models.probe import absent
from probes.parsing import html
from probes.text import language
from probes.urls import domains
from probes.website.page_analysis import Site


@dataclass(frozen=True, slots=True)
class Past:
    """What a site said it was: its title and name, its language, its system, its visitor counter."""

    title: str = ""
    language: str = ""
    platform: str = ""
    sitekey: str = ""


_FIELDS = ("title", "language", "platform", "sitekey")


def of_site(site: Site) -> dict[str, Scalar]:
    """The facts by which later nights know the site again."""
    told = {
        "title": site.title,
        "language": site.language,
        "platform": site.platform,
        "sitekey": site.sitekey,
    }
    return {name: value for name, value in told.items() if value}


def past(known: Finding | None) -> Past | None:
    """What the site was, by the last decided finding of it; None where nobody saw it well.

    An absence, and a page that looked like another's, hand on the past that they were compared with.
    """
    if known is None:
        return None
    handed_on = "past_title" in known.facts
    if not handed_on and known.presence is Presence.ABSENT:
        return None
    prefix = "past_" if handed_on else ""
    told = Past(*(str(known.facts.get(f"{prefix}{name}", "")) for name in _FIELDS))
    if handed_on or not known.name or known.name in told.title:
        return told
    return Past(f"{told.title} · {known.name}", told.language, told.platform, told.sitekey)


def handed_on(before: Past | None) -> dict[str, Scalar]:
    """The past, as facts of a finding that is no new one: the next night compares with it again."""
    if before is None:
        return {}
    told = {f"past_{name}": getattr(before, name) for name in _FIELDS}
    return {"past_title": before.title, **{name: value for name, value in told.items() if value}}


def estranged(before: Past | None, site: Site, account: Account) -> bool:
    """Whether a site turned to a far language, with a title akin neither to its past nor its address."""
    if before is None or before.language not in language.NEAR or not site.foreign:
        return False
    registered = unquote(account.identity.url or account.identity.canonical or "").replace(".", " ")
    known = f"{before.title} {registered}"
    return bool(site_names.tokens(site.title)) and not site_names.is_similar_name(site.title, known)


def changed_hands(before: Past, page: Page, site: Site, account: Account) -> Finding | None:
    """An estranged site is another's where one strong signal more is there."""
    proofs = list(_proofs(before, page, site, account))
    if not proofs:
        return None
    was = f"was “{before.title[:60]}” ({before.language})"
    return absent(page, Reason.HIJACKED, detail=f"{', '.join(proofs)}; {was}, is {site.language}")


def _proofs(before: Past, page: Page, site: Site, account: Account) -> Iterator[str]:
    yield from site.spam[:3]
    if site.away or not domains.same(html.host(page.url), html.host(account.identity.url or page.url)):
        yield "leads to another site"
    if site.hidden:
        yield "hides links"
    if before.platform and site.platform != before.platform and _nobodys(before, site):
        yield f"no longer made with {before.platform}"


def _nobodys(before: Past, site: Site) -> bool:
    """Whether nothing else ties a site of several pages to its past: not its counter, nor a name below."""
    kin = before.sitekey and before.sitekey == site.sitekey
    return (
        site.whole
        and not kin
        and not site_names.is_similar_name(str(site.facts.get("says", "")), before.title)
    )
