"""A site and what it was when it was last seen well: the mark of a name that somebody else has taken.

No one signal accuses. A redesign, a new publishing system, an English version, a merger or a new name change
some of them; who buys a lapsed name changes the language, the name and more at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from probes.discovery import site_names
from probes.models.finding import Account, FactValue, Finding, Presence, Reason
from probes.models.http import Page
from probes.models.probe import absent_finding
from probes.parsing import html
from probes.text import language
from probes.urls import domains
from probes.website.page_analysis import SiteAnalysis


@dataclass(frozen=True, slots=True)
class SiteHistory:
    """What a site said it was: its title and name, its language, its system, its visitor counter."""

    title: str = ""
    language: str = ""
    platform: str = ""
    tracking_id: str = ""


_HISTORY_FIELDS = ("title", "language", "platform", "sitekey")


def build_site_facts(site: SiteAnalysis) -> dict[str, FactValue]:
    """The facts by which later nights know the site again."""
    told = {
        "title": site.title,
        "language": site.language,
        "platform": site.platform,
        "sitekey": site.tracking_id,
    }
    return {name: value for name, value in told.items() if value}


def get_site_history(known_finding: Finding | None) -> SiteHistory | None:
    """What the site was, by the last decided finding of it; None where nobody saw it well.

    An absence, and a page that looked like another's, hand on the past that they were compared with.
    """
    if known_finding is None:
        return None
    handed_on = "past_title" in known_finding.facts
    if not handed_on and known_finding.presence is Presence.ABSENT:
        return None
    prefix = "past_" if handed_on else ""
    told = SiteHistory(
        *(str(known_finding.facts.get(f"{prefix}{name}", "")) for name in _HISTORY_FIELDS)
    )
    if handed_on or not known_finding.name or known_finding.name in told.title:
        return told
    return SiteHistory(
        f"{told.title} · {known_finding.name}", told.language, told.platform, told.tracking_id
    )


def build_history_facts(history: SiteHistory | None) -> dict[str, FactValue]:
    """The past, as facts of a finding that is no new one: the next night compares with it again."""
    if history is None:
        return {}
    told = {f"past_{name}": getattr(history, name) for name in _HISTORY_FIELDS}
    return {"past_title": history.title, **{name: value for name, value in told.items() if value}}


def is_foreign_to_history(
    history: SiteHistory | None, site: SiteAnalysis, account: Account
) -> bool:
    """Whether a site turned to a far language, with a title akin neither to its past nor its address."""
    if (
        history is None
        or history.language not in language.NETWORK_LANGUAGES
        or not site.is_foreign_language
    ):
        return False
    registered = unquote(account.identity.url or account.identity.canonical or "").replace(".", " ")
    known = f"{history.title} {registered}"
    return bool(site_names.extract_name_tokens(site.title)) and not site_names.is_similar_name(
        site.title, known
    )


def detect_ownership_change(
    history: SiteHistory, page: Page, site: SiteAnalysis, account: Account
) -> Finding | None:
    """An estranged site is another's where one strong signal more is there."""
    proofs = list(_iter_ownership_change_signals(history, page, site, account))
    if not proofs:
        return None
    was = f"was “{history.title[:60]}” ({history.language})"
    return absent_finding(
        page, Reason.HIJACKED, detail=f"{', '.join(proofs)}; {was}, is {site.language}"
    )


def _iter_ownership_change_signals(
    history: SiteHistory, page: Page, site: SiteAnalysis, account: Account
) -> Iterator[str]:
    yield from site.spam_words[:3]
    if site.redirects_to_other_site or not domains.is_same_domain(
        html.get_host(page.url), html.get_host(account.identity.url or page.url)
    ):
        yield "leads to another site"
    if site.hides_links:
        yield "hides links"
    if (
        history.platform
        and site.platform != history.platform
        and _has_no_tie_to_history(history, site)
    ):
        yield f"no longer made with {history.platform}"


def _has_no_tie_to_history(history: SiteHistory, site: SiteAnalysis) -> bool:
    """Whether nothing else ties a site of several pages to its past: not its counter, nor a name below."""
    kin = history.tracking_id and history.tracking_id == site.tracking_id
    return (
        site.has_navigation
        and not kin
        and not site_names.is_similar_name(str(site.facts.get("says", "")), history.title)
    )
