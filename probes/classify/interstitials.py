"""Detection of interstitials: pages that are shown instead of the requested one.

A wall refuses the request: login, consent, captcha, firewall, rate limit. A refusal is never an
absence. `detect_refusal` needs only the page: its status, headers, final address, title and the
start of its body. The body is untrusted, so a worker detects the walls and the page carries them
(`Page.walls`). Sources: a survey of link checkers and firewalls (lychee, linkinator,
webappanalyzer, gallery-dl, yt-dlp: 2026-06 to 2026-08) and measurements without an account
(2026-09, 2026-10), see docs/explanations/platforms.md.

`detect_consent_or_paywall` finds pages that ask for consent or money first. Many pages have a
cookie banner. A page is only a consent page if its heading and most of its text are about consent
and it asks for an answer.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from probes.classify.soft_404 import iter_sentences
from probes.links import channel_registry
from probes.models.finding import Reason
from probes.models.http import REDIRECT_STATUSES, Page
from probes.parsing.html import Document
from probes.text.language import KeywordIndex, fold_case

MAX_HEAD_BYTES = 20 * 1024
"""Bytes of a body in which signs of walls and services are searched."""
MAX_TEXT_BYTES = 512 * 1024
"""Bytes that are read to measure the visible text and to find forms."""
BLOCK_PAGE_MAX_CHARS = 600
"""A page with more visible characters is no wall."""

_REASONS_BY_STATUS = {
    **dict.fromkeys(range(500, 1_000), Reason.SERVER_ERROR),
    401: Reason.LOGIN_WALL,
    403: Reason.BLOCKED,
    407: Reason.NETWORK,  # the answer of our own proxy, not of the site
    406: Reason.BLOCKED,  # ModSecurity
    418: Reason.BLOCKED,
    420: Reason.RATE_LIMITED,
    429: Reason.RATE_LIMITED,
    451: Reason.BLOCKED,
    498: Reason.BLOCKED,
    999: Reason.BLOCKED,  # LinkedIn to robots since 2015, whether or not the page exists
}

# Targets of redirects: hosts and paths of sign-in, consent and challenge pages.
_URL_PATTERNS = (
    (
        Reason.LOGIN_WALL,
        re.compile(
            r"//accounts\.google\.com/|//login\.(?:microsoftonline|live)\.com/"
            r"|//(?:www\.)?blogger\.com/blogin\.g|//wordpress\.com/log-in"
            r"|//subscribe\.wordpress\.com/"
        ),
    ),
    (Reason.CONSENT, re.compile(r"//consent\.(?:youtube|google)\.[a-z.]+/|/cookie/consent\b")),
    (Reason.RATE_LIMITED, re.compile(r"//(?:www\.)?google\.[a-z.]+/sorry/")),
    (Reason.BLOCKED, re.compile(r"/cdn-cgi/challenge|/\.well-known/sgcaptcha|/__rd_verify_")),
)
# On the hosts of a platform only: a site may have a page for members at such an address.
_PLATFORM_URL_PATTERNS = (
    (
        Reason.LOGIN_WALL,
        re.compile(
            r"//[^/]+/(?:[a-z-]+/){0,2}"
            r"(?:log[_-]?in|sign[_-]?in|sign[_-]?up|authwall|r\.php)(?:[/?.]|$)"
        ),
    ),
    (
        Reason.BLOCKED,
        re.compile(
            r"//(?:[^/]*\.)?(?:facebook|fb|linkedin|instagram|twitter|x)\.com/(?:[^/]+/){0,2}"
            r"(?:checkpoint|unsupportedbrowser|account/access|challenge)(?:[/?.]|$)"
        ),
    ),
)

_TITLE_PATTERNS = (
    (
        Reason.LOGIN_WALL,
        re.compile(
            r"(?:(?:log ?in(?:to)?|log in or sign up) (?:(?:or sign up )?to )?(?:facebook|view\b|"
            r"continue\b)|facebook . log in or sign up|welcome to facebook|"
            r"(?:se connecter|connexion|connectez-vous) à facebook|"
            r"facebook . connexion ou inscription|connectez-vous ou inscrivez-vous pour|"
            r"(?:se connecter|connexion) \| facebook|تسجيل الدخول إلى فيسبوك|فيسبوك . تسجيل الدخول|"
            r"تسجيل الدخول \| فيسبوك|"
            r"(?:sign (?:in|up)|linkedin login|log ?in|s.identifier|s.inscrire|se connecter|"
            r"تسجيل الدخول)(?:[ ,]+sign in)?(?: \| linkedin)|linkedin: log ?in or sign ?up|"
            r"linkedin login, sign in|login . instagram|log in to (?:x|twitter)|"
            r"connexion . instagram|log in to your account|sign in - google accounts)"
        ),
    ),
    (
        Reason.BLOCKED,
        re.compile(
            r"(?:attention required! \| cloudflare|just a moment\.\.\.|un instant…|access denied|"
            r"(?:client challenge|security check|request rejected|denied)$|security check required|"
            r"sucuri website firewall|ddos-guard|bot verification|robot challenge screen|"
            r"human verification|one moment, please|you.re temporarily blocked|"
            r"you have been blocked|unsupported browser|pardon our interruption|"
            r"checking your browser|access to this page has been denied)"
        ),
    ),
    (
        Reason.RATE_LIMITED,
        re.compile(r"(?:sorry\.\.\.$|(?:error )?429\b[\W_]*(?:error)?$|too many requests)"),
    ),
    (
        Reason.CONSENT,
        re.compile(
            r"(?:before you continue|avant d.accéder à (?:youtube|google)|avant de continuer"
            r"|قبل المتابعة إلى)"
        ),
    ),
)


class _WallSign(NamedTuple):
    """A text in the markup of a wall, and words of which every match contains one."""

    reason: Reason
    keywords: tuple[str, ...]
    pattern: re.Pattern[str]


_FIREWALL_MARKUP = _WallSign(  # only in the markup of a wall
    Reason.BLOCKED,
    (
        *("__rd_verify_", "challenge-platform", "_cf_chl_opt", "cf-browser-verification"),
        *("_incapsula_", "captcha-delivery", "/sgcaptcha", "ddos-guard", "error_root", "errorroot"),
    ),
    re.compile(
        r"__rd_verify_|/cdn-cgi/challenge-platform/[^\"']{0,200}/orchestrate|window\._cf_chl_opt|"
        r"cf-browser-verification|_incapsula_resource|captcha-delivery\.com"
        r"|/\.well-known/sgcaptcha|ddos-guard/js-challenge|comet_?error_?root\.react"
    ),
)
_FIREWALL_NAME = _WallSign(  # counts on error pages and on pages with little text
    Reason.BLOCKED,
    ("imunify360", "mod_security", "sucuri", "incapsula", "wordfence", "your access to this"),
    re.compile(
        r"imunify360|mod_security|sucuri website firewall|incapsula incident id"
        r"|generated by wordfence|your access to this (?:site|service) has been limited"
    ),
)
# InfinityFree and ByetHost send a script that sets the cookie __test and reloads with ?i=1.
_COOKIE_TEST = _WallSign(Reason.BLOCKED, ("/aes.js",), re.compile(r"(?s)/aes\.js.{0,1000}__test="))
_WALL_TEXTS = (
    _WallSign(
        Reason.BLOCKED,
        (
            *("temporarily blocked", "use this feature", "misusing", "request denied"),
            *("access denied", "have been blocked", "verify", "a robot", "vérifi", "unusual"),
            *("enable javascript", "not a bot", "was rejected"),
        ),
        re.compile(
            r"you.re temporarily blocked|you can.t use this feature (?:right now|at the moment)"
            r"|misusing this feature by going too fast|request denied|access denied"
            r"|sorry, you have been blocked"
            r"|verify(?:ing)? (?:that )?you are (?:a )?human|are you a robot"
            r"|vérifi\w{1,20} que vous (?:êtes|n.êtes pas)"
            r"|enable javascript and cookies to continue|unusual traffic from your computer network"
            r"|confirm you.re not a bot|the requested url was rejected"
        ),
    ),
    _WallSign(
        Reason.LOGIN_WALL,
        ("login_form", "you must log in", "devez vous connecter", "يجب تسجيل"),
        re.compile(
            r"id=[\"']login_form[\"']|you must log in (?:to continue|first)"
            r"|vous devez vous connecter pour continuer|يجب تسجيل الدخول"
        ),
    ),
    _WallSign(
        Reason.CONSENT,
        ("//consent.", "before you continue"),
        re.compile(
            r"action=[\"']https://consent\.(?:youtube|google)\.com/save|before you continue to "
        ),
    ),
    _WallSign(
        Reason.SCRIPT_ONLY,
        ("javascript", "scriptloadfailure"),
        re.compile(
            r"javascript is (?:not available|disabled|required)|you need to enable javascript"
            r"|(?:please )?(?:enable|activate|turn on) javascript|scriptloadfailure"
            r"|activer javascript|يرجى تفعيل javascript"
        ),
    ),
)
WALL_SIGNS = (_FIREWALL_MARKUP, _FIREWALL_NAME, _COOKIE_TEST, *_WALL_TEXTS)


@cache
def _load_sign_index() -> KeywordIndex:
    return KeywordIndex([sign.keywords for sign in WALL_SIGNS])


@lru_cache(maxsize=1)  # a page is searched for several kinds of walls
def _find_signs(text: str) -> list[_WallSign]:
    """Return the signs that the start of a page may have."""
    return [WALL_SIGNS[row] for row in _load_sign_index().find_rows(text)]


def _has_sign(text: str, sign: _WallSign) -> bool:
    return sign in _find_signs(text) and sign.pattern.search(text) is not None


_TITLE_ELEMENT_PATTERN = re.compile(r"(?s)<title[^<>]{0,200}>(.{0,500}?)</title>")
_SCRIPT_ELEMENT_PATTERN = re.compile(r"(?is)<(script|style)\b.*?(?:</\1>|\Z)")
_HTML_TAG_PATTERN = re.compile(r"<[^<>]*>")  # without the second `<`, 500,000 of them take a minute


def detect_refusal(page: Page) -> Reason | None:
    """Return why the page is not the requested one, or None if it is.

    Statuses 404 and 410 are no refusal, and neither is any page with content.
    """
    return (page.walls or detect_walls(page))[0]


def detect_full_page_wall(page: Page) -> Reason | None:
    """Return the wall that replaces the page, by its header, address, title, markup or status.

    The text of a wall does not count here, because it can also be on top of the real page.
    """
    return (page.walls or detect_walls(page))[1]


def detect_walls(page: Page) -> tuple[Reason | None, Reason | None]:
    """Return the refusal of a page and the wall that replaces it.

    A worker does so for every page that a probe receives.
    """
    page_head = _decode_page_head(page)
    full_page = next(filter(None, _iter_full_page_walls(page, page_head)), None)
    refusal = full_page
    if full_page is None and page.status < 400:
        refusal = next(_iter_walls_by_text(page, page_head), None)
    return refusal, full_page


def is_firewall_page(page: Page) -> bool:
    """Return whether a firewall shows itself by header, title, markup or name.

    A status is no proof, because hosting companies send the same ones.
    """
    page_head = _decode_page_head(page)
    walls = (*_iter_walls_by_header(page), _find_wall_of_title_element(page_head))
    return Reason.BLOCKED in walls or _has_firewall_marks(page, page_head)


def has_password_field(page: Page) -> bool:
    """Return whether the page has a password field."""
    return _PASSWORD_INPUT_PATTERN.search(page.body[:MAX_TEXT_BYTES]) is not None


def has_password_form(page: Page) -> bool:
    """Return whether the page has exactly one form, with a password field."""
    return len(_FORM_PATTERN.findall(page.body[:MAX_TEXT_BYTES])) == 1 and has_password_field(page)


_FORM_PATTERN = re.compile(rb"<form\b", re.IGNORECASE)
_PASSWORD_INPUT_PATTERN = re.compile(
    rb"<input\b[^<>]{0,300}?\btype\s*=\s*[\"']?password\b", re.IGNORECASE
)


def detect_client_block(page: Page) -> Reason | None:
    """Return why the platform refuses the auditor as a client. None if it refuses only this page.

    A sign-in page at the page's own address is shown for pages that only members see, in every run.
    A redirect to a sign-in page is meant for the visitor (see docs/explanations/platforms.md).
    """
    reasons = {Reason.BLOCKED, Reason.RATE_LIMITED}
    if page.status == 401 or any(_iter_walls_by_url(page)):
        reasons |= {Reason.LOGIN_WALL, Reason.CONSENT}
    reason = detect_refusal(page)
    return reason if reason in reasons else None


def match_wall_title(title: str) -> Reason | None:
    """Return the wall that has this title, or None."""
    folded = " ".join(title.replace("’", "'").lower().split())
    return next((reason for reason, pattern in _TITLE_PATTERNS if pattern.match(folded)), None)


def _decode_page_head(page: Page) -> str:
    return page.body[:MAX_HEAD_BYTES].decode("utf-8", "replace").replace("’", "'").lower()


def _iter_full_page_walls(page: Page, page_head: str) -> Iterator[Reason | None]:
    """Yield the walls that replace a page, the surest first, and None for a missing sign."""
    yield from _iter_walls_by_header(page)
    yield from _iter_walls_by_url(page)
    yield _find_wall_of_title_element(page_head)
    if _has_firewall_marks(page, page_head):
        yield Reason.BLOCKED
    yield _REASONS_BY_STATUS.get(page.status)
    if page.status == 400 and "sorry, something went wrong" in page_head:
        yield Reason.BLOCKED  # Facebook to clients that are no browser (RSS-Bridge 2026-08)


def _has_firewall_marks(page: Page, page_head: str) -> bool:
    if _has_sign(page_head, _FIREWALL_MARKUP) or _has_sign(page_head, _COOKIE_TEST):
        return True
    has_name = _has_sign(page_head, _FIREWALL_NAME)
    return has_name and (page.status >= 400 or _has_little_text(page))


def _iter_walls_by_header(page: Page) -> Iterator[Reason]:
    headers = page.headers
    firewall_signs = (
        "cf-mitigated" in headers,
        headers.get("x-datadome", "") not in ("", "protected"),
        headers.get("x-sucuri-block"),
        "rd_challenge=" in headers.get("set-cookie", ""),
    )
    if any(firewall_signs):
        yield Reason.BLOCKED
    if page.status in (429, 503) and "retry-after" in headers:
        yield Reason.RATE_LIMITED


def _iter_walls_by_url(page: Page) -> Iterator[Reason]:
    """Yield the walls of the final address after a redirect.

    A registered link can have such an address itself.
    """
    if page.hops and page.hops[0].url.lower() == page.url.lower():
        return
    address = page.url.partition("#")[0].partition("?")[0].lower()
    is_platform = channel_registry.find_channel_by_url(page.url) != channel_registry.WEBSITE_CHANNEL
    patterns = (*(_PLATFORM_URL_PATTERNS if is_platform else ()), *_URL_PATTERNS)
    yield from (reason for reason, pattern in patterns if pattern.search(address))


def _find_wall_of_title_element(page_head: str) -> Reason | None:
    match = _TITLE_ELEMENT_PATTERN.search(page_head)
    return match_wall_title(match[1]) if match else None


def _iter_walls_by_text(page: Page, page_head: str) -> Iterator[Reason]:
    """Yield the walls that a page with little text shows by its text or by the lack of one.

    An empty page is unreadable, unless it redirects. Texts in scripts do not count.
    """
    text = _SCRIPT_ELEMENT_PATTERN.sub(" ", page_head)
    walls = [sign.reason for sign in _WALL_TEXTS if _has_sign(text, sign)]
    if walls and _has_little_text(page):
        yield from walls
    if not page.body.strip() and page.status not in REDIRECT_STATUSES:
        yield Reason.UNREADABLE
    elif _is_script_only(page, page_head):
        yield Reason.SCRIPT_ONLY


def _is_script_only(page: Page, page_head: str) -> bool:
    """Return whether a page has scripts, but neither frames nor visible text."""
    if len(page.body) >= MAX_HEAD_BYTES or "<frame" in page_head:
        return False
    return "<script" in page_head and not _extract_visible_text(page_head)


def _has_little_text(page: Page) -> bool:
    markup = page.body[:MAX_TEXT_BYTES].decode("utf-8", "replace")
    return len(_extract_visible_text(markup)) < BLOCK_PAGE_MAX_CHARS


def _extract_visible_text(markup: str) -> str:
    """Return the visible text without any spaces."""
    without_scripts = _SCRIPT_ELEMENT_PATTERN.sub(" ", markup)
    return "".join(_HTML_TAG_PATTERN.sub(" ", without_scripts).split())


# A page that is hidden in some countries exists in the others.
_REGION_RESTRICTION_REGEX = (
    r"(?:not (?:currently )?available|unavailable|isn.t available|doesn.t do business|"
    r"not accessible|blocked) (?:to|in|for|from) (?:\w+ ){0,9}?(?:outside (?:of )?|(?:your|"
    r"this) (?:current )?(?:country|region|area|location|territory|jurisdiction))|"
    r"(?:pas|plus|indisponible|inaccessible|non disponible)(?: \w+){0,3} (?:dans|depuis|"
    r"pour) votre (?:pays|région|zone|territoire)|"
    r"in (?:ihrem|deinem) (?:land|gebiet) (?:derzeit )?(?:leider )?nicht|"
    r"in (?:ihrer|deiner) region (?:leider )?nicht|"
    r"no (?:está )?disponible en (?:su|tu) (?:país|región|zona)|"
    r"não (?:está )?disponível (?:no seu país|na sua região)|"
    r"non (?:è )?disponibile nel(?:la)? (?:tuo|tua|suo|sua) (?:paese|regione|area)|"
    r"niet beschikbaar in (?:uw|jouw|je) (?:land|regio)|недоступ\w{1,20} в вашем регионе|"
    r"غير (?:متاح|متوفر)ة? في (?:بلدك|منطقتك|بلدكم|منطقتكم)"
)
_REGION_RESTRICTION_PATTERN = re.compile(_REGION_RESTRICTION_REGEX)

# Titles that are enough, because a wall in the site's design keeps the site's long menu.
INTERSTITIAL_TITLES = re.compile(
    r"(?:no cookies|access denied|forbidden|captcha|robot check|just a moment\W*|"
    r"attention required\W*|are you a robot\??|too many requests|accès refusé|403(?: forbidden)?|"
    r"(?:site )?maintenance|down for maintenance|bad gateway|service unavailable|"
    r"internal server error|server error|database error|erreur (?:50\d|serveur)|"
    r"(?:http )?error 50\d.*)",
    re.IGNORECASE,
)


def match_interstitial_title(title: str) -> Reason | None:
    """Return the reason of a title that only a wall or an error page has, or None."""
    if not INTERSTITIAL_TITLES.fullmatch(title):
        return None
    is_server_error = re.search(r"(?i)maint|50\d|gateway|serv|database", title)
    return Reason.SERVER_ERROR if is_server_error else Reason.BLOCKED


def mentions_region_restriction(text: str) -> bool:
    """Return whether a page says that it is not shown in some region."""
    # characters of a text in which a notice about regions is searched
    return bool(_REGION_RESTRICTION_PATTERN.search(fold_case(text[:700])))


CONSENT_PAGE_MAX_CHARS = 900
"""A page with more characters is no consent page."""
MIN_CONSENT_TEXT_SHARE = 0.6
"""The share of a consent page's text that is about consent."""
MAX_CONSENT_HEADINGS = 3
"""Headings of a page that are read. All of them must be about consent."""
MIN_NAVIGATION_LINKS = 3
"""A page with so many links to other pages of its site is part of a working site."""

_CONSENT_PATTERN = re.compile(
    r"cookie|consent|privacy|tracking|personal(?:i[sz]ed)? (?:data|ads|information)|our partners|"
    r"before you continue|vie privée|consentement|données personnelles|informations personnelles|"
    r"nos partenaires|avant de continuer|traceurs|votre accord|publicité personnalisée|datenschutz|"
    r"einwilligung|zustimm|mit werbung|werbung und tracking|\bpur[- ]abo|unsere partner|privacidad|"
    r"consentimiento|nuestros socios|privacidade|parceiros|riservatezza|nostri partner|toestemming|"
    r"onze partners|samtycke|samtykke|integritet|personvern|ملفات تعريف الارتباط|الخصوصية|شركاؤنا|"
    r"الكوكيز"
)
_CONSENT_ANSWER_PATTERN = re.compile(
    r"accept|agree|subscribe|reject all|allow all|\baccord\b|s.abonner|abonnez|abonner|refuser|"
    r"akzeptier|zustimmen|einverstanden|abonnier|\babo\b|acept|aceit|suscr[ií]b|rechaz|accett|"
    r"abbonati|rifiut|"
    r"akkoord|accepteren|weigeren|godkänn|godkend|godta|أوافق|موافق|قبول|اشترك"
)
_CONSENT_SENTENCE_PATTERN = re.compile(
    f"{_CONSENT_PATTERN.pattern}|{_CONSENT_ANSWER_PATTERN.pattern}"
)
_PAYWALL_PATTERN = re.compile(
    r"subscribe (?:now )?to (?:continue|keep|read)|limit of free articles|"
    r"reached your (?:free )?(?:article )?limit|abonnez-vous pour (?:lire|continuer|accéder)|"
    r"réservé aux abonnés|nur für abonnenten|suscr[ií]bete para (?:seguir|leer|continuar)|"
    r"assine para continuar|abbonati per (?:continuare|leggere)|"
    r"اشترك لمتابعة القراءة",
    re.IGNORECASE,
)


def detect_consent_or_paywall(document: Document) -> tuple[Reason, str] | None:
    """Return whether a page asks for consent or money first, with its text, or None."""
    has_navigation = document.internal_link_count >= MIN_NAVIGATION_LINKS
    if has_navigation or len(document.text) > CONSENT_PAGE_MAX_CHARS:
        return None
    headings = document.headings[:MAX_CONSENT_HEADINGS] or (document.title,)
    sentences = filter(_CONSENT_SENTENCE_PATTERN.search, map(fold_case, iter_sentences(document)))
    consent_chars = sum(len(sentence) + 1 for sentence in sentences)
    if (
        consent_chars >= MIN_CONSENT_TEXT_SHARE * len(document.text)
        and _CONSENT_ANSWER_PATTERN.search(fold_case(document.text))
        and all(map(_CONSENT_PATTERN.search, map(fold_case, headings)))
    ):
        # characters of a heading that a finding quotes
        return Reason.CONSENT, headings[0][:80]
    paywall = _PAYWALL_PATTERN.search(headings[0])
    return (Reason.LOGIN_WALL, paywall[0]) if paywall else None
