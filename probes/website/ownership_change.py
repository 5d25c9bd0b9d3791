"""Comparison of a site with its past, to detect a domain that was taken over.

No single signal is enough. A redesign, a new publishing system, a new language, a merger or a new
name changes some of them. A buyer of a lapsed domain changes the language, the name and more at
once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import compress
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
    """A site's title and name, language, publishing system and tracking id in an earlier run."""

    title: str = ""
    language: str = ""
    platform: str = ""
    tracking_id: str = ""


_HISTORY_FIELDS = ("title", "language", "platform", "tracking_id")


def build_site_facts(source: SiteAnalysis | SiteHistory, prefix: str = "") -> dict[str, FactValue]:
    """Return the facts by which later runs recognize the site: `title`, `language` and so on."""
    facts: dict[str, FactValue] = {}
    for name in _HISTORY_FIELDS:
        value = getattr(source, name)
        if value:
            facts[f"{prefix}{name}"] = value
    return facts


def get_site_history(known_finding: Finding | None) -> SiteHistory | None:
    """Return the site's past from its last decided finding, or None if it was never seen working.

    A finding with `past_…` facts passes on the past that it was compared with.
    """
    if known_finding is None:
        return None
    facts = known_finding.facts
    if "past_title" in facts:
        return _read_history(facts, "past_")
    if known_finding.presence is Presence.ABSENT:
        return None
    history = _read_history(facts)
    if known_finding.name and known_finding.name not in history.title:
        return replace(history, title=f"{history.title} · {known_finding.name}")
    return history


def _read_history(facts: Mapping[str, FactValue], prefix: str = "") -> SiteHistory:
    return SiteHistory(*[str(facts.get(f"{prefix}{name}", "")) for name in _HISTORY_FIELDS])


def build_history_facts(history: SiteHistory | None) -> dict[str, FactValue]:
    """Return the past as `past_…` facts, for the next run to compare with."""
    if history is None:
        return {}
    return {"past_title": history.title, **build_site_facts(history, "past_")}


def is_foreign_to_history(
    history: SiteHistory | None, site: SiteAnalysis, account: Account
) -> bool:
    """Return whether the site changed to a foreign language and a title unlike its past.

    The title is compared with the earlier one and with the registered address.
    """
    if history is None or history.language not in language.NETWORK_LANGUAGES:
        return False
    if not site.is_foreign_language:
        return False
    registered = unquote(account.identity.url or account.identity.canonical or "").replace(".", " ")
    known_names = f"{history.title} {registered}"
    has_name = bool(site_names.extract_name_tokens(site.title))
    return has_name and not site_names.is_similar_name(site.title, known_names)


def detect_ownership_change(
    history: SiteHistory, page: Page, site: SiteAnalysis, account: Account
) -> Finding | None:
    """Return an absence if a site that is foreign to its past shows one more strong signal."""
    signals = list(_iter_ownership_change_signals(history, page, site, account))
    if not signals:
        return None
    earlier = f"was “{history.title[:60]}” ({history.language})"
    detail = f"{', '.join(signals)}; {earlier}, is {site.language}"
    return absent_finding(page, Reason.HIJACKED, detail=detail)


def _iter_ownership_change_signals(
    history: SiteHistory, page: Page, site: SiteAnalysis, account: Account
) -> Iterator[str]:
    yield from site.spam_words[:3]
    registered_host = html.get_host(account.identity.url or page.url)
    is_own_domain = domains.is_same_domain(html.get_host(page.url), registered_host)
    has_new_platform = history.platform not in ("", site.platform)
    signals = {
        "leads to another site": site.redirects_to_other_site or not is_own_domain,
        "hides links": site.hides_links,
        f"no longer made with {history.platform}": has_new_platform
        and _has_no_tie_to_history(history, site),
    }
    yield from compress(signals, signals.values())


def _has_no_tie_to_history(history: SiteHistory, site: SiteAnalysis) -> bool:
    """Return whether a site of several pages shares neither tracking id nor name with its past."""
    has_same_tracking_id = history.tracking_id and history.tracking_id == site.tracking_id
    if not site.has_navigation or has_same_tracking_id:
        return False
    return not site_names.is_similar_name(str(site.facts.get("site_names", "")), history.title)
