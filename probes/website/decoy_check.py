"""An address that nobody can have made: what a site answers to it, it says of anything.

It is asked beside a page that may be missing, once a month, and the outcome is kept in the finding's facts:
a site's ways change seldom. It strengthens a doubt that the page itself gives, and never clears one.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import date, timedelta
from hashlib import sha256
from urllib.parse import unquote

from probes.discovery import site_names
from probes.models.finding import Account, FactValue, Finding, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import absent_finding, request_page
from probes.parsing import html
from probes.urls import domains, normalize
from probes.website.page_analysis import SiteAnalysis, analyze_site_page, is_home_page_url
from probes.website.url_variants import get_page_status

RESULT_LIFETIME = timedelta(days=30)

DecoyTestGenerator = Generator[PageRequest, Page, bool | None]
Soft404Generator = Generator[PageRequest, Page, tuple[Finding | None, dict[str, FactValue]]]


def check_soft_404(account: Account, url: str, page: Page, site: SiteAnalysis) -> Soft404Generator:
    """The absence that a decoy proves, if there was a doubt and it does, and the facts to remember of it."""
    if not is_home_page_url(page.url):
        if not site.may_be_soft_404:
            return None, {}
        gone, facts = yield from _run_or_reuse_test(
            account, page, site.content_fingerprint, _check_same_content(page, site)
        )
        told = absent_finding(
            page, Reason.NOT_FOUND, detail="says the same of an address nobody made"
        )
        return (told if gone else None), facts
    if not redirects_to_home_page(url, page, site):
        return None, {}
    if unquote(normalize.parse_url(url).path).strip("/") not in unquote(account.typed_text):
        return None, {"redirected_home": True}  # cleaning the link may be what broke it
    gone, facts = yield from _run_or_reuse_test(
        account, page, _normalize_landing_url(page.url), _check_redirect_to_home(url, page, site)
    )
    told = absent_finding(
        page, Reason.NOT_FOUND, detail="leads to the front page, as an address nobody made does"
    )
    return (told if gone else None), {"redirected_home": True, **facts}


def redirects_to_home_page(url: str, page: Page, site: SiteAnalysis) -> bool:
    """Whether a link to one page of a site leads to the site's front page, which is not about that page.

    Another domain's front page is a move, a merger perhaps; who looks for `/annour` and lands on Annour's own
    page has arrived.
    """
    path = unquote(normalize.parse_url(url).path)
    if not _is_inner_path(path) or not domains.is_same_domain(
        html.get_host(url), html.get_host(page.url)
    ):
        return False
    about = f"{site.title} {site.facts.get('site_names', '')} {html.get_host(page.url).replace('.', ' ')}"
    return not site_names.is_similar_name(
        " ".join(site_names.extract_name_tokens(path) - _GENERIC_PATH_WORDS), about
    )


def _is_inner_path(path: str) -> bool:
    """Whether a path is one page's, and no alias of a front page (`/fr/`, `/index.php/accueil`, `/wp/`)."""
    return not is_home_page_url(path) and bool(
        site_names.extract_name_tokens(path) - _GENERIC_PATH_WORDS
    )


# What a front page may be called, and what all associations are.
_GENERIC_PATH_WORDS = frozenset(
    """
    wordpress joomla drupal spip cms blog new nouveau nouvelle public htdocs front app french francais
    arabe arabic english عربي عربية فرنسية content view sommaire association associations asso maroc
    morocco جمعية جمعيات المغرب مغرب
    """.split()  # noqa: SIM905
)


def _run_or_reuse_test(
    account: Account, page: Page, test_key: str, test: DecoyTestGenerator
) -> Generator[PageRequest, Page, tuple[bool, dict[str, FactValue]]]:
    """The outcome of a test: the remembered one of the same page within a month, else a new one."""
    known, today = (
        account.previous_finding.facts if account.previous_finding else {},
        page.fetched_at.date(),
    )
    if known.get("decoy_fingerprint") == test_key and _is_fresh(
        known.get("decoy_tested_on"), today
    ):
        return known.get("decoy_matches") is True, {
            name: known[name] for name in _REMEMBERED_FACTS if name in known
        }
    gone = yield from test
    if gone is None:
        return False, {}
    return gone, {
        "decoy_fingerprint": test_key,
        "decoy_tested_on": today.isoformat(),
        "decoy_matches": gone,
    }


_REMEMBERED_FACTS = ("decoy_fingerprint", "decoy_tested_on", "decoy_matches")


def _is_fresh(tested_on: FactValue | None, today: date) -> bool:
    try:
        return timedelta(0) <= today - date.fromisoformat(str(tested_on)) < RESULT_LIFETIME
    except ValueError:
        return False


def _build_decoy_url(url: str) -> str:
    """An address beside this one; its name is the same every time, so that an archived answer is found."""
    folder, _, last = url.partition("#")[0].partition("?")[0].rstrip("/").rpartition("/")
    return f"{folder}/{sha256(last.encode()).hexdigest()[:24]}"


def _check_same_content(page: Page, site: SiteAnalysis) -> DecoyTestGenerator:
    """Whether the site answers the very same to the decoy; None where it does not tell."""
    try:
        answer, other = yield from request_page(_build_decoy_url(page.url), analyze_site_page)
    except FetchError:
        return None
    if answer.status >= 400 and answer.status not in (404, 410):
        return None
    return answer.status == page.status and other.content_fingerprint == site.content_fingerprint


def _check_redirect_to_home(url: str, page: Page, site: SiteAnalysis) -> DecoyTestGenerator:
    """Whether the decoy leads to the same front page while a page that the front page links to does not.

    A site that sends every first visitor to its front page proves nothing.
    """
    if not site.inner_page_url:
        return None
    try:
        decoy, _ = yield from request_page(_build_decoy_url(url), get_page_status)
        if decoy.status != 200 or _normalize_landing_url(decoy.url) != _normalize_landing_url(
            page.url
        ):
            return None if decoy.status in (401, 403, 429) or decoy.status >= 500 else False
        own, _ = yield from request_page(site.inner_page_url, get_page_status)
    except FetchError:
        return None
    return own.status == 200 and _normalize_landing_url(own.url) != _normalize_landing_url(page.url)


def _normalize_landing_url(url: str) -> str:
    """Where an address is, its scheme, `www.` and query aside."""
    return (
        f"{domains.normalize_host(html.get_host(url))}{normalize.parse_url(url).path.rstrip('/')}"
    )
