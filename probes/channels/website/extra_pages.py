"""Further requests of the website probe: variants of its URL, and a decoy.

A host without `www.` may exist only with it, a closed HTTPS port may be open for HTTP, and a page
behind an invalid certificate may show whether the site exists. Each variant costs one more request.

A decoy is an address on the same site that cannot exist. If the site answers the decoy like the
registered page, that page is missing. The check is made only for a page that may be missing, once a
month. Its result is stored in the facts. It can confirm a doubt but never remove one.
"""

from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from urllib.parse import unquote, urlsplit, urlunsplit

from probes.channels.website import site_names
from probes.channels.website.page_analysis import SiteAnalysis, analyze_site_page, is_home_page_url
from probes.links import domains, normalize
from probes.models.finding import Account, FactValue, Finding, Reason
from probes.models.http import MISSING_PAGE_STATUSES, FetchError, Page, PageRequest
from probes.models.probe import absent_finding, request_page
from probes.parsing import html

OpenSiteGenerator = Generator[PageRequest, Page, tuple[Page, SiteAnalysis, dict[str, FactValue]]]


def open_site(url: str) -> OpenSiteGenerator:
    """Return the page at the registered address, or at a variant of it if that fails.

    Raises FetchError if no variant works.
    """
    try:
        page, site = yield from request_page(url, analyze_site_page, is_registered_link=True)
    except FetchError as error:
        if error.reason is Reason.TLS:
            return (yield from _open_despite_certificate(url, error))
        return (yield from _open_alternative_url(url, error))
    return page, site, {}


def _open_alternative_url(url: str, error: FetchError) -> OpenSiteGenerator:
    """Request a missing host with or without www, and a closed port with the other scheme.

    The fact `https` is False if HTTPS is closed and HTTP is open. Raises the most informative
    FetchError if no variant works.
    """
    is_missing_host = error.reason is Reason.NO_SUCH_HOST
    twin_url, other_scheme_url = build_www_twin_url(url), _toggle_scheme(url)
    variants_by_reason = {
        Reason.NO_SUCH_HOST: (_toggle_www(url),),
        **dict.fromkeys((Reason.NETWORK, Reason.TIMEOUT), (other_scheme_url, twin_url)),
    }
    for variant in filter(None, variants_by_reason.get(error.reason, ())):
        try:
            page, site = yield from request_page(
                variant, analyze_site_page, is_registered_link=True
            )
        except FetchError as variant_error:
            if is_missing_host and variant_error.reason is not Reason.NO_SUCH_HOST:
                error = variant_error
            continue
        if not is_missing_host and variant == twin_url and not _is_working_site(page, site):
            continue
        schemes = (urlsplit(url).scheme, urlsplit(page.url).scheme)
        is_https_closed = variant == other_scheme_url and schemes == ("https", "http")
        return page, site, {"https": False} if is_https_closed else {}
    raise error


def _is_working_site(page: Page, site: SiteAnalysis) -> bool:
    """Return whether a site exists.

    Its absence at one host name says nothing about another host name that did not respond.
    """
    return page.status < 400 and site.absence is None


def _open_despite_certificate(url: str, error: FetchError) -> OpenSiteGenerator:
    """Request the twin host, whose certificate may be valid; else ignore the certificate."""
    twin_url = build_www_twin_url(url)
    if twin_url is not None and error.detail in _FOREIGN_CERTIFICATE_ERRORS:
        with suppress(FetchError):
            page, site = yield from request_page(
                twin_url, analyze_site_page, is_registered_link=True
            )
            if _is_working_site(page, site):
                return page, site, {"tls_error": error.detail}
    return (yield from _open_unverified(url, error))


# The certificate errors of a hosting company's own page.
_FOREIGN_CERTIFICATE_ERRORS = frozenset({"wrong_host", "self_signed", "untrusted", "handshake"})


def _open_unverified(url: str, error: FetchError) -> OpenSiteGenerator:
    """Request the page without verifying the certificate, to learn whether anything responds.

    Parking services and suspended hosts rarely have a valid certificate. Their pages are requested
    again over HTTP and only trusted from there. Raises the first FetchError if nothing responds.
    """
    facts: dict[str, FactValue] = {"tls_error": error.detail or "handshake"}
    http_url = _toggle_scheme(url)
    try:
        page, site = yield from request_page(
            url, analyze_site_page, is_registered_link=True, insecure=True
        )
        if site.absence and http_url:
            page, site = yield from request_page(
                http_url, analyze_site_page, is_registered_link=True
            )
            if site.absence:
                return page, site, facts
    except FetchError:
        raise error from None
    return replace(page, insecure=True), site, facts


def build_www_twin_url(url: str) -> str | None:
    """Return the same address with or without www. None for other subdomains."""
    host = html.get_host(url)
    is_domain = domains.get_registrable_domain(host) == domains.normalize_host(host)
    return _toggle_www(url) if host.startswith("www.") or is_domain else None


def _toggle_www(url: str) -> str | None:
    parts = urlsplit(url)
    bare_host = parts.netloc.removeprefix("www.")
    if "." not in bare_host:
        return None
    host = bare_host if parts.netloc.startswith("www.") else f"www.{parts.netloc}"
    return urlunsplit(parts._replace(netloc=host))


def _toggle_scheme(url: str) -> str | None:
    """Return the address with http instead of https or the reverse. None if it has a port."""
    parts = urlsplit(url)
    if parts.port:
        return None
    return urlunsplit(parts._replace(scheme="http" if parts.scheme == "https" else "https"))


def check_transport(
    url: str, page: Page, known_facts: Mapping[str, FactValue]
) -> Generator[PageRequest, Page, dict[str, FactValue]]:
    """Return the facts about how the page was transferred.

    `seconds`: the load time. `certificate_expires_on`: the certificate's last day. `moved_to`:
    another domain. `https`: whether the site supports HTTPS. No value changes in every run: seconds
    are whole numbers, and rules count the days until the certificate expires.
    """
    facts: dict[str, FactValue] = {"seconds": round(page.elapsed_seconds)}
    if page.certificate_expires:
        facts["certificate_expires_on"] = page.certificate_expires.isoformat()
    requested_host, final_host = html.get_host(url), html.get_host(page.url)
    if not domains.is_same_domain(requested_host, final_host):
        facts["moved_to"] = domains.get_registrable_domain(final_host)
    if "https" in known_facts:
        return facts
    supports_https = yield from _supports_https(page.url)
    if supports_https is not None:
        facts["https"] = supports_https
    return facts


def _supports_https(url: str) -> Generator[PageRequest, Page, bool | None]:
    """Return whether a site supports HTTPS, or None if unknown.

    If it was reached over HTTP, its address with HTTPS is requested.
    """
    if url.startswith("https:"):
        return True
    https_url = _toggle_scheme(url)
    if https_url is None:
        return None
    try:
        page, _ = yield from request_page(https_url, get_page_status, is_registered_link=True)
    except FetchError as error:
        is_unsupported = error.reason in (Reason.NETWORK, Reason.TIMEOUT, Reason.TLS)
        return False if is_unsupported else None
    return page.url.startswith("https:") and page.status < 400


def get_page_status(page: Page) -> int:
    """Return the status of a page whose body is not needed."""
    return page.status


DECOY_RESULT_LIFETIME = timedelta(days=30)
"""How long the result of a test with a decoy is used again."""
DecoyTestGenerator = Generator[PageRequest, Page, bool | None]


def check_with_decoy(
    account: Account, url: str, page: Page, site: SiteAnalysis
) -> Generator[PageRequest, Page, tuple[Finding | None, dict[str, FactValue]]]:
    """Return the absence that a decoy proves, or None, and the facts for later runs."""
    if not is_home_page_url(page.url):
        if not site.may_be_soft_404:
            return None, {}
        is_missing, facts = yield from _run_or_reuse_test(
            account, page, site.content_fingerprint, _check_same_content(page, site)
        )
        detail = "same content as an address that cannot exist"
    elif not redirects_to_home_page(url, page, site):
        return None, {}
    elif unquote(normalize.parse_url(url).path).strip("/") not in unquote(account.typed_text):
        return None, {"redirected_home": True}  # cleaning may have broken the link
    else:
        test = _check_redirect_to_home(url, page, site)
        test_key = _normalize_landing_url(page.url)
        is_missing, test_facts = yield from _run_or_reuse_test(account, page, test_key, test)
        detail = "leads to the home page, as an address that cannot exist does"
        facts = {"redirected_home": True, **test_facts}
    if not is_missing:
        return None, facts
    return absent_finding(page, Reason.NOT_FOUND, detail=detail), facts


def redirects_to_home_page(url: str, page: Page, site: SiteAnalysis) -> bool:
    """Return whether a link to an inner page leads to a home page that has another topic.

    The home page of another domain is a move, not a missing page. A link to `/annour` that leads to
    Annour's own site has reached its target.
    """
    path = unquote(normalize.parse_url(url).path)
    host, final_host = html.get_host(url), html.get_host(page.url)
    has_topic = not is_home_page_url(path) and bool(_extract_path_words(path))
    if not has_topic or not domains.is_same_domain(host, final_host):
        return False
    names = str(site.facts.get("site_names", ""))
    site_topic = f"{site.title} {names} {final_host.replace('.', ' ')}"
    return not site_names.is_similar_name(" ".join(_extract_path_words(path)), site_topic)


def _extract_path_words(path: str) -> frozenset[str]:
    return site_names.extract_name_tokens(path) - _GENERIC_PATH_WORDS


# Names of home pages and words that every association uses.
_GENERIC_PATH_WORDS = frozenset(
    """
    wordpress joomla drupal spip cms blog new nouveau nouvelle public htdocs front app french
    francais arabe arabic english عربي عربية فرنسية content view sommaire association associations
    asso maroc morocco جمعية جمعيات المغرب مغرب
    """.split()  # noqa: SIM905
)


def _run_or_reuse_test(
    account: Account, page: Page, test_key: str, test: DecoyTestGenerator
) -> Generator[PageRequest, Page, tuple[bool, dict[str, FactValue]]]:
    """Return whether the page is missing, by a test of the last month or by a new one."""
    known_facts = account.previous_finding.facts if account.previous_finding else {}
    today = page.fetched_at.date()
    is_same_test = known_facts.get("decoy_fingerprint") == test_key
    if is_same_test and _is_fresh(known_facts.get("decoy_tested_on"), today):
        facts = {
            name: known_facts[name]
            for name in ("decoy_fingerprint", "decoy_tested_on", "decoy_matches")
            if name in known_facts
        }
        return known_facts.get("decoy_matches") is True, facts
    is_missing = yield from test
    if is_missing is None:
        return False, {}
    return is_missing, {
        "decoy_fingerprint": test_key,
        "decoy_tested_on": today.isoformat(),
        "decoy_matches": is_missing,
    }


def _is_fresh(tested_on: FactValue | None, today: date) -> bool:
    try:
        age = today - date.fromisoformat(str(tested_on))
    except ValueError:
        return False
    return timedelta(0) <= age < DECOY_RESULT_LIFETIME


def _build_decoy_url(url: str) -> str:
    """Return a nonexistent address in the same folder.

    It is always the same for one URL, so that stored pages can be replayed.
    """
    folder, _, last = url.partition("#")[0].partition("?")[0].rstrip("/").rpartition("/")
    return f"{folder}/{sha256(last.encode()).hexdigest()[:24]}"


def _check_same_content(page: Page, site: SiteAnalysis) -> DecoyTestGenerator:
    """Return whether the decoy has the same content, or None if that is unknown.

    A refusal or a server error says nothing about the address. Of other statuses, it must have that
    of the page.
    """
    try:
        decoy, decoy_site = yield from request_page(_build_decoy_url(page.url), analyze_site_page)
    except FetchError:
        return None
    if decoy.status >= 400 and decoy.status not in MISSING_PAGE_STATUSES:
        return None
    decoy_content = (decoy.status, decoy_site.content_fingerprint)
    return decoy_content == (page.status, site.content_fingerprint)


def _check_redirect_to_home(url: str, page: Page, site: SiteAnalysis) -> DecoyTestGenerator:
    """Return whether the decoy leads to the same home page but an existing inner page does not.

    A site that redirects every first visitor to its home page proves nothing. Return None if the
    home page links to no inner page, or if one of the two requests fails.
    """
    if not site.inner_page_url:
        return None
    home_url = _normalize_landing_url(page.url)
    try:
        decoy, _ = yield from request_page(_build_decoy_url(url), get_page_status)
        if decoy.status in (401, 403, 429) or decoy.status >= 500:
            return None
        if (decoy.status, _normalize_landing_url(decoy.url)) != (200, home_url):
            return False
        inner_page, _ = yield from request_page(site.inner_page_url, get_page_status)
    except FetchError:
        return None
    return inner_page.status == 200 and _normalize_landing_url(inner_page.url) != home_url


def _normalize_landing_url(url: str) -> str:
    """Return an address without its scheme, `www.` and query."""
    host = domains.normalize_host(html.get_host(url))
    return f"{host}{normalize.parse_url(url).path.rstrip('/')}"
