"""Walls are recognized by status, header, address, title and text. Pages with content are no
walls.
"""

import time

import pytest

from probes.channels import website
from probes.classify import classifier, interstitials
from probes.classify.interstitials import detect_client_block, detect_full_page_wall, detect_refusal
from probes.links import identify
from probes.models.finding import Account, Presence, Reason
from probes.models.http import Hop, Page
from probes.models.probe import run_offline
from probes.parsing.html import Document
from probes.parsing.html_walker import TextNode

URL = "https://annour.example/"


def page(status: int = 200, body: str = "", url: str = URL, **headers: str) -> Page:
    return Page(
        url,
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        body.encode(),
    )


@pytest.mark.fault("F29")
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, Reason.LOGIN_WALL),
        (403, Reason.BLOCKED),
        (406, Reason.BLOCKED),
        (429, Reason.RATE_LIMITED),
        (451, Reason.BLOCKED),
        (999, Reason.BLOCKED),
        (500, Reason.SERVER_ERROR),
        (503, Reason.SERVER_ERROR),
    ],
)
def test_refusal_status_is_a_wall(status: int, reason: Reason) -> None:
    assert detect_refusal(page(status)) is reason


@pytest.mark.parametrize("status", [404, 410])
def test_not_found_is_no_refusal(status: int) -> None:
    assert detect_refusal(page(status, "<title>Not found</title>")) is None


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (page(200, "x", "https://www.facebook.com/login/?next=x"), Reason.LOGIN_WALL),
        (page(200, "x", "https://www.facebook.com/checkpoint/1/"), Reason.BLOCKED),
        (page(200, "x", "https://consent.youtube.com/m?continue=x"), Reason.CONSENT),
        (page(200, "x", "https://www.google.com/sorry/index?continue=x"), Reason.RATE_LIMITED),
        (page(200, "x", "https://x.com/i/flow/login?redirect=x"), Reason.LOGIN_WALL),
        (page(200, "x", "https://accounts.google.com/v3/signin"), Reason.LOGIN_WALL),
        (page(403, "x", cf_mitigated="challenge"), Reason.BLOCKED),
        (page(503, "x", retry_after="120"), Reason.RATE_LIMITED),
        (page(200, "<title>Just a moment...</title>"), Reason.BLOCKED),
        (page(503, "<title>Attention Required! | Cloudflare</title>"), Reason.BLOCKED),
        (page(200, "<title>Se connecter à Facebook</title>"), Reason.LOGIN_WALL),
        (page(200, "<title>تسجيل الدخول إلى فيسبوك</title>"), Reason.LOGIN_WALL),
        (page(200, "<title>S’identifier | LinkedIn</title>"), Reason.LOGIN_WALL),
        (page(200, "<title>You’re Temporarily Blocked</title>"), Reason.BLOCKED),
        (page(400, "<title>Error</title>Sorry, something went wrong."), Reason.BLOCKED),
        (page(403, "<title>Client challenge</title>/__rd_verify_x?challenge=1"), Reason.BLOCKED),
        (
            page(
                200, "<script src='/aes.js'></script><script>document.cookie='__test='+x</script>"
            ),
            Reason.BLOCKED,
        ),
        (page(200, "<script>boot()</script>"), Reason.SCRIPT_ONLY),
        (page(200, "You need to enable JavaScript to run this app."), Reason.SCRIPT_ONLY),
        (page(200, ""), Reason.UNREADABLE),
    ],
)
def test_wall_is_recognized(response: Page, reason: Reason) -> None:
    assert detect_refusal(response) is reason


def test_page_with_content_is_no_wall() -> None:
    text = "<title>Annour</title>" + "<p>Une association du quartier.</p>" * 40
    assert detect_refusal(page(200, text)) is None
    assert (
        detect_refusal(page(200, text + "<p>Please enable JavaScript to see the map.</p>")) is None
    )


def test_registered_address_like_a_wall_is_no_wall() -> None:
    registered_page = Page(
        "https://annour.example/challenge", 200, body=b"<p>Notre challenge</p>" * 90
    )
    assert (
        detect_refusal(
            Page(
                registered_page.url,
                200,
                body=registered_page.body,
                hops=(Hop(registered_page.url, 200),),
            )
        )
        is None
    )


HEAD = (
    "<style>" + ".a{color:red}" * 2_000 + "</style>"
)  # WordPress puts more than 20 KB before its words
WORDS = "<p>Une association du quartier.</p>" * 60


@pytest.mark.parametrize(
    "body",
    [
        f"<title>Annour</title><script>var t={{denied:'Access denied'}}</script>{HEAD}{WORDS}",
        f"<title>Annour</title><noscript>Please enable JavaScript</noscript>{HEAD}{WORDS}",
        f"<title>Annour</title><form id='login_form'></form>{HEAD}{WORDS}",
        f"<title>Denied rights: our report</title>{WORDS}",
        f"<title>Security check of a well: ten villages</title>{WORDS}",
        f"<title>429 associations</title>{WORDS}",
        f"<title>Annour</title>{WORDS}<p>How we set mod_security and Imunify360 up</p>",
    ],
    ids=[
        "words of a script",
        "noscript",
        "members' form",
        "denied",
        "security",
        "a number",
        "a blog",
    ],
)
def test_page_with_content_may_contain_wall_texts(body: str) -> None:
    assert detect_refusal(page(200, body)) is None


def test_challenge_in_an_address_is_a_wall_only_on_platforms() -> None:
    hops = (Hop(URL, 301), Hop(f"{URL}fr/challenge/", 200))
    assert detect_refusal(Page(f"{URL}fr/challenge/", 200, body=WORDS.encode(), hops=hops)) is None
    assert (
        detect_refusal(page(200, WORDS, "https://www.instagram.com/challenge/?next=x"))
        is Reason.BLOCKED
    )


def test_firewall_name_on_a_short_page_is_a_wall() -> None:
    assert detect_refusal(page(200, "<h1>Imunify360 bot-protection</h1>")) is Reason.BLOCKED
    assert detect_refusal(page(503, f"Generated by Wordfence {WORDS}")) is Reason.BLOCKED


def test_wall_text_after_a_long_head_is_found() -> None:
    assert detect_refusal(page(200, "<p>Access denied</p>" + HEAD)) is Reason.BLOCKED


@pytest.mark.parametrize(
    "repeated",
    ["<", "<title>", "<title ", "<script", "<style", "/aes.js", "/cdn-cgi/challenge-platform/"],
)
def test_any_body_is_judged_fast(repeated: str) -> None:
    """The check runs in the event loop, so 10 ms would delay all other requests."""
    hostile = page(200, "<p>access denied</p>" + repeated * (500_000 // len(repeated)))
    started = time.process_time()
    detect_refusal(hostile)
    assert time.process_time() - started < 0.3


GUARDS = {
    "Cloudflare's challenge": (
        403,
        "<title>Just a moment...</title>",
        {"cf_mitigated": "challenge"},
    ),
    "Cloudflare's challenge with 503": (
        503,
        "<title>Just a moment...</title>",
        {"server": "cloudflare"},
    ),
    "Cloudflare's block": (
        403,
        "<title>Attention Required! | Cloudflare</title>",
        {"server": "cloudflare"},
    ),
    "Cloudflare's challenge with 200": (200, "<script>window._cf_chl_opt={}</script>", {}),
    "Cloudflare's script": (
        200,
        "<script src='/cdn-cgi/challenge-platform/h/g/orchestrate/jsch/v1'></script>",
        {},
    ),
    "Sucuri": (403, "<title>Sucuri WebSite Firewall - Access Denied</title>", {}),
    "Sucuri's header": (403, "<p>no</p>", {"x_sucuri_block": "GEO02"}),
    "DataDome": (
        403,
        "<p>Please enable JS and disable any ad blocker</p>",
        {"x_datadome": "blocked"},
    ),
    "DataDome's riddle": (200, "<script src='https://ct.captcha-delivery.com/c.js'></script>", {}),
    "Incapsula": (200, "<iframe src='/_Incapsula_Resource?x=1'>Request unsuccessful</iframe>", {}),
    "Incapsula's number": (403, "<p>Incapsula incident ID: 1-2</p>", {}),
    "Akamai": (403, "<title>Access Denied</title><p>Reference #18.2f</p>", {}),
    "Akamai with 200": (
        200,
        "<title>Access Denied</title><h1>Access Denied</h1><p>Reference #18.2f</p>",
        {},
    ),
    "Wordfence": (503, "<p>Your access to this site has been limited by the site owner</p>", {}),
    "Wordfence with 200": (200, "<h1>Your access to this site has been limited</h1>", {}),
    "ModSecurity": (406, "<title>Not Acceptable!</title><p>generated by Mod_Security</p>", {}),
    "Imunify360": (200, "<title>One moment, please...</title>", {}),
    "Imunify360's name": (415, "<p>Access denied by Imunify360 bot-protection.</p>", {}),
    "SiteGround": (202, "<meta http-equiv=refresh content='0;/.well-known/sgcaptcha/?r=%2F'>", {}),
    "DDoS-Guard": (403, "<title>DDoS-Guard</title>", {}),
    "bot verification": (
        200,
        "<title>Bot Verification</title><p>Verifying that you are not a robot...</p>",
        {},
    ),
    "InfinityFree's cookie": (
        200,
        "<script src='/aes.js'></script><script>document.cookie='__test='</script>",
        {},
    ),
    "a Varnish of nobody's": (503, "<title>503 Backend fetch failed</title>", {}),
    "a French guard": (403, "<h1>Accès refusé</h1>", {}),
    "an Arabic guard": (403, "<h1>تم رفض الوصول</h1>", {}),
    "too many": (429, "<h1>Too Many Requests</h1>", {"retry_after": "60"}),
    "later": (503, "<h1>Service Unavailable</h1>", {"retry_after": "3600"}),
    "for paying visitors": (402, "<h1>Payment Required</h1>", {}),
    "for members": (401, "<h1>Authorization Required</h1>", {}),
}


@pytest.mark.parametrize("name", GUARDS)
def test_firewall_before_a_site_is_unknown(name: str) -> None:
    status, body, headers = GUARDS[name]
    response = page(status, body, **{"content_type": "text/html", **headers})
    account = Account("a", URL, identify.identify_link(URL))
    finding = run_offline(website.probe(account), lambda _: response).finding
    assert finding.presence is Presence.UNKNOWN, finding


LINKEDIN = "https://www.linkedin.com/"


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (page(999, "x", LINKEDIN), Reason.BLOCKED),
        (page(429, "x"), Reason.RATE_LIMITED),
        (page(503, "x", retry_after="120"), Reason.RATE_LIMITED),
        (page(403, "x"), Reason.BLOCKED),
        (page(401, "x"), Reason.LOGIN_WALL),
        (page(400, "<title>Error</title>Sorry, something went wrong."), Reason.BLOCKED),
        (page(200, "<title>Just a moment...</title>"), Reason.BLOCKED),
        (page(200, "x", "https://www.facebook.com/login/?next=x"), Reason.LOGIN_WALL),
        (page(200, "x", f"{LINKEDIN}authwall"), Reason.LOGIN_WALL),
        (page(200, "x", "https://consent.youtube.com/m?continue=x"), Reason.CONSENT),
        (page(200, "x", "https://www.google.com/sorry/index"), Reason.RATE_LIMITED),
        # What these platforms always show of this page.
        (page(200, "<title>Log in to Facebook</title>", "https://www.facebook.com/amal"), None),
        (page(200, "<script>boot()</script>", "https://x.com/amal"), None),
        (
            page(200, "This content isn't available right now", "https://www.facebook.com/amal"),
            None,
        ),
        (page(404, "<title>404 Not Found</title>"), None),
        (page(500, "x"), None),
        (page(200, "<title>Annour</title>" + "<p>Une association.</p>" * 60), None),
    ],
)
def test_client_block_differs_from_a_hidden_page(response: Page, reason: Reason | None) -> None:
    assert detect_client_block(response) is reason


def test_only_wall_text_can_cover_a_page() -> None:
    form = page(200, "<title>Amal</title><form id='login_form'>", "https://www.facebook.com/amal")
    assert (detect_refusal(form), detect_full_page_wall(form)) == (Reason.LOGIN_WALL, None)
    titled = page(200, "<title>Log into Facebook</title>", "https://www.facebook.com/amal")
    assert (detect_refusal(titled), detect_full_page_wall(titled)) == (
        Reason.LOGIN_WALL,
        Reason.LOGIN_WALL,
    )


# --- Consent pages and pages that forward ---


def build_consent_page(text, headings):
    return Document(URL, text=text, text_nodes=(TextNode(text, "p", "", ""),), headings=headings)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_first_headings_must_be_about_consent(step):
    headings = ("Cookies",) * (interstitials.MAX_CONSENT_HEADINGS + step - 1) + ("Annour",)
    document = build_consent_page("Accept cookies", headings)
    assert (interstitials.detect_consent_or_paywall(document) is not None) is (step > 0)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_consent_page_has_limited_text(step):
    text = "Accept cookies".ljust(interstitials.CONSENT_PAGE_MAX_CHARS + step, ",")
    document = build_consent_page(text, ("Cookies",))
    assert (interstitials.detect_consent_or_paywall(document) is not None) is (step <= 0)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_page_that_forwards_has_less_text(step):
    text = "Has moved".ljust(classifier.FORWARDING_PAGE_MAX_CHARS + step)
    assert classifier.mentions_new_site(Document(URL, text=text)) is (step <= 0)
