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
from probes.models.finding import Account, Finding, Reason, Scalar
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import absent, ask
from probes.parsing import html
from probes.urls import domains, normalize
from probes.website.page_analysis import Site, is_home, read_site
from probes.website.url_variants import read_nothing

HOLDS = timedelta(days=30)

Tested = Generator[Ask, Page, bool | None]
Told = Generator[Ask, Page, tuple[Finding | None, dict[str, Scalar]]]


def doubted(account: Account, url: str, page: Page, site: Site) -> Told:
    """The absence that a decoy proves, if there was a doubt and it does, and the facts to remember of it."""
    if not is_home(page.url):
        if not site.doubtful:
            return None, {}
        gone, facts = yield from _monthly(account, page, site.print, _says_so_of_anything(page, site))
        told = absent(page, Reason.NOT_FOUND, detail="says the same of an address nobody made")
        return (told if gone else None), facts
    if not leads_home(url, page, site):
        return None, {}
    if unquote(normalize.parted(url).path).strip("/") not in unquote(account.typed):
        return None, {"redirected_home": True}  # cleaning the link may be what broke it
    gone, facts = yield from _monthly(
        account, page, _landing(page.url), _sends_home_anything(url, page, site)
    )
    told = absent(page, Reason.NOT_FOUND, detail="leads to the front page, as an address nobody made does")
    return (told if gone else None), {"redirected_home": True, **facts}


def leads_home(url: str, page: Page, site: Site) -> bool:
    """Whether a link to one page of a site leads to the site's front page, which is not about that page.

    Another domain's front page is a move, a merger perhaps; who looks for `/annour` and lands on Annour's own
    page has arrived.
    """
    path = unquote(normalize.parted(url).path)
    if not _is_deep(path) or not domains.same(html.host(url), html.host(page.url)):
        return False
    about = f"{site.title} {site.facts.get('says', '')} {html.host(page.url).replace('.', ' ')}"
    return not site_names.is_similar_name(" ".join(site_names.tokens(path) - _COMMON), about)


def _is_deep(path: str) -> bool:
    """Whether a path is one page's, and no alias of a front page (`/fr/`, `/index.php/accueil`, `/wp/`)."""
    return not is_home(path) and bool(site_names.tokens(path) - _COMMON)


# What a front page may be called, and what all associations are.
_COMMON = frozenset(
    """
    wordpress joomla drupal spip cms blog new nouveau nouvelle public htdocs front app french francais
    arabe arabic english عربي عربية فرنسية content view sommaire association associations asso maroc
    morocco جمعية جمعيات المغرب مغرب
    """.split()  # noqa: SIM905
)


def _monthly(
    account: Account, page: Page, mark: str, test: Tested
) -> Generator[Ask, Page, tuple[bool, dict[str, Scalar]]]:
    """The outcome of a test: the remembered one of the same page within a month, else a new one."""
    known, today = account.known.facts if account.known else {}, page.fetched_at.date()
    if known.get("decoy_print") == mark and _is_fresh(known.get("decoy_on"), today):
        return known.get("decoy_same") is True, {name: known[name] for name in _REMEMBERED if name in known}
    gone = yield from test
    if gone is None:
        return False, {}
    return gone, {"decoy_print": mark, "decoy_on": today.isoformat(), "decoy_same": gone}


_REMEMBERED = ("decoy_print", "decoy_on", "decoy_same")


def _is_fresh(on: Scalar | None, today: date) -> bool:
    try:
        return timedelta(0) <= today - date.fromisoformat(str(on)) < HOLDS
    except ValueError:
        return False


def _address(url: str) -> str:
    """An address beside this one; its name is the same every time, so that an archived answer is found."""
    folder, _, last = url.partition("#")[0].partition("?")[0].rstrip("/").rpartition("/")
    return f"{folder}/{sha256(last.encode()).hexdigest()[:24]}"


def _says_so_of_anything(page: Page, site: Site) -> Tested:
    """Whether the site answers the very same to the decoy; None where it does not tell."""
    try:
        answer, other = yield from ask(_address(page.url), read_site)
    except NoPage:
        return None
    if answer.status >= 400 and answer.status not in (404, 410):
        return None
    return answer.status == page.status and other.print == site.print


def _sends_home_anything(url: str, page: Page, site: Site) -> Tested:
    """Whether the decoy leads to the same front page while a page that the front page links to does not.

    A site that sends every first visitor to its front page proves nothing.
    """
    if not site.inside:
        return None
    try:
        decoy, _ = yield from ask(_address(url), read_nothing)
        if decoy.status != 200 or _landing(decoy.url) != _landing(page.url):
            return None if decoy.status in (401, 403, 429) or decoy.status >= 500 else False
        own, _ = yield from ask(site.inside, read_nothing)
    except NoPage:
        return None
    return own.status == 200 and _landing(own.url) != _landing(page.url)


def _landing(url: str) -> str:
    """Where an address is, its scheme, `www.` and query aside."""
    return f"{domains.plain(html.host(url))}{normalize.parted(url).path.rstrip('/')}"
