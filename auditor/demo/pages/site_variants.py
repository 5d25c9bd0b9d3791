"""What stands at an association's address when its site does not: each text as its maker serves it.

Sites in good health with one thing that is odd: slow, huge, closed to robots, moved, linked strangely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from auditor.demo.associations import Member
from auditor.demo.model import Answer, Request, Tonight, page, plain, redirect
from auditor.demo.pages import site_engines
from auditor.demo.pages.site import Frame

CPANEL_SUSPENDED = (
    "<!DOCTYPE html><html><head><title>Account Suspended</title></head><body><h1>Account Suspended</h1>"
    "<p>This Account has been suspended.</p><p>Contact your hosting provider for more "
    "information.</p></body></html>"
)
CPANEL_DEFAULT = (
    "<html><head><title>Default Web Site Page</title></head><body><h1>SORRY!</h1>"
    "<p>If you are the owner of this website, please contact your hosting provider: webmaster@{host}</p>"
    "<p>It is possible you have reached this page because the IP address has changed.</p></body></html>"
)
PARKED = (
    "<html><head><title>{host} is for sale</title>"
    '<script src="https://www.google.com/adsense/domains/caf.js"></script></head><body>'
    "<h1>{host}</h1><p>This domain is for sale. Buy this domain.</p><p>The Sponsored "
    "Listings displayed above are "
    "served automatically by a third party.</p></body></html>"
)
GAMBLING = (
    '<html lang="id"><head><title>SLOT GACOR MAXWIN: Situs Slot Online Resmi, Daftar Slot88</title>'
    '<meta name="description" content="Daftar situs judi online slot gacor maxwin, rtp '
    'live, deposit pulsa, qris.">'
    '<link rel="amphtml" href="https://amp-slot.example/"></head><body><h1>Situs Judi Online Slot Gacor</h1>'
    '<p>Daftar slot88, togel, bandar, bonus new member, deposit dana.</p><a href="https://amp-slot.example/">LOGIN</a>'
    '<a href="https://amp-slot.example/daftar">DAFTAR</a></body></html>'
)
CHALLENGE = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>"
    '<script src="/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1"></script></body></html>'
)


def nothing(_member: Member, request: Request, _tonight: Tonight) -> Answer | None:
    """A bare server's 404, for the paths that a trouble page does not answer; None for its home page."""
    if request.path == "/":
        return None
    return page("<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>", 404)


def parked(member: Member, request: Request, tonight: Tonight) -> Answer:
    """A seller's page, on every path but robots.txt."""
    if request.path == "/robots.txt":
        return nothing(member, request, tonight) or page("")
    return page(PARKED.format(host=member.host))


def suspended(_member: Member, request: Request, _tonight: Tonight) -> Answer:
    """CPanel's notice, which it serves with status 200 behind a redirect."""
    if request.path == "/cgi-sys/suspendedpage.cgi":
        return page(CPANEL_SUSPENDED)
    return redirect("/cgi-sys/suspendedpage.cgi", 302)


def default_page(member: Member, request: Request, tonight: Tonight) -> Answer:
    """A hosting's own first page, before anything was uploaded."""
    return nothing(member, request, tonight) or page(CPANEL_DEFAULT.format(host=member.host))


def under_construction(member: Member, request: Request, tonight: Tonight) -> Answer:
    """A page that promises a site."""
    words = (
        ("قريبا", "الموقع قيد الإنشاء") if member.language == "ar" else ("Bientôt", "Site en construction")
    )
    text = (
        f"<html><head><title>{words[1]}</title></head><body><h1>{words[1]}</h1><p>"
        f"{words[0]}</p></body></html>"
    )
    return nothing(member, request, tonight) or page(text)


def gambling(member: Member, request: Request, tonight: Tonight) -> Answer:
    """Somebody else's advertising at the association's address."""
    return nothing(member, request, tonight) or page(GAMBLING)


def soft_404(member: Member, request: Request, _tonight: Tonight) -> Answer:
    """Every path answers 200 and says that it is not there."""
    if request.path == "/robots.txt":
        return plain("User-agent: *\nDisallow:\n")
    title = "الصفحة غير موجودة" if member.language == "ar" else "Page introuvable"
    hint = "لم يتم العثور على الصفحة" if member.language == "ar" else "Erreur 404 : cette page n’existe pas."
    return page(f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{hint}</p></body></html>")


def loop(_member: Member, request: Request, _tonight: Tonight) -> Answer:
    """Two redirects that lead to each other."""
    if request.path == "/robots.txt":
        return plain("", 404)
    return redirect("/ar/" if request.path == "/" else "/", 302)


def unavailable(_member: Member, request: Request, _tonight: Tonight) -> Answer:
    """A server that is up and cannot answer."""
    status = 404 if request.path == "/robots.txt" else 503
    return page("<html><head><title>503 Service Unavailable</title></head><body>Erreur</body></html>", status)


def broken(_member: Member, request: Request, _tonight: Tonight) -> Answer:
    """A site whose database is gone, as WordPress says it."""
    if request.path == "/robots.txt":
        return plain("", 404)
    title = "Erreur lors de la connexion à la base de données"
    return page(f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>", 500)


def too_many(_member: Member, request: Request, _tonight: Tonight) -> Answer:
    """A host that counts, and names its hour."""
    if request.path == "/robots.txt":
        return plain("", 404)
    return page("<html><head><title>429 Too Many Requests</title></head></html>", 429, retry_after="3600")


def captcha(_member: Member, request: Request, _tonight: Tonight) -> Answer:
    """A wall of Cloudflare's, which lets browsers think."""
    if request.path == "/robots.txt":
        return plain("", 404)
    return page(CHALLENGE, 403, server="cloudflare", cf_mitigated="challenge")


Site = Callable[[Member, Request, Tonight], Answer]

USUAL = site_engines.wordpress()

SLOW = 1.52
"""Seconds that a slow site thinks; the demo calls 1.5 slow, so that nobody waits eight (see `demo`)."""

CACHED = b"<!-- from the cache of its new hosting -->"


def slow(member: Member, request: Request, tonight: Tonight) -> Answer:
    """A site that thinks before its home page, until its hosting is changed on the sixth night."""
    answer = USUAL(member, request, tonight)
    if request.path != "/":
        return answer
    if tonight.number <= 5:
        return replace(answer, delay=SLOW)
    return replace(answer, body=answer.body + CACHED)


def huge(member: Member, request: Request, tonight: Tonight) -> Answer:
    """A home page of 20 MB: the whole archive on one page, the newest first."""
    answer = USUAL(member, request, tonight)
    if request.path != "/":
        return answer
    filler = b"<p>" + b"archive " * 5_000 + b"</p>\n"  # little enough for a client that leaves to be noticed
    whole = answer.body + filler
    return replace(answer, body=whole, repeats=1 + 20_000_000 // len(whole))


def closed_to_robots(member: Member, request: Request, tonight: Tonight) -> Answer:
    """A site whose robots.txt forbids everything: its registered link alone is asked for."""
    if request.path == "/robots.txt":
        return plain("User-agent: *\nDisallow: /\n")
    if request.path == "/":
        return USUAL(member, request, tonight)
    return page("<title>403 Forbidden</title>", 403)


def with_footer(footer: Callable[[Member], str], head: Callable[[Member], str] = lambda _: "") -> Site:
    """A WordPress with something more in its footer or its head."""

    def show(member: Member, request: Request, tonight: Tonight) -> Answer:
        frame = Frame(footer=footer(member), head=head(member))
        return site_engines.wordpress(frame=frame)(member, request, tonight)

    return show


def unlinked(member: Member, request: Request, tonight: Tonight) -> Answer:
    """A site that leads to nobody's account but to one of its own articles."""
    nowhere = Frame(profiles={"articles": f"https://{member.host}/about"})
    return site_engines.wordpress(frame=nowhere)(member, request, tonight)


def moved(member: Member, request: Request, tonight: Tonight) -> Answer:
    """An address that leads to the site's new one."""
    if request.host == member.host:
        return redirect(f"https://{new_home(member)}{request.target}")
    return USUAL(member, request, tonight)


def new_home(member: Member) -> str:
    """The host to which a moved site moved."""
    return f"espace-{member.slug}.org"


def youtube_icon(member: Member) -> str:
    """An icon in the footer, which leads to the member's channel."""
    return (
        f'<p><a class="yt" href="https://www.youtube.com/@{member.handle}"><img alt="YouTube" '
        'src="/yt.png"></a></p>'
    )


def same_as(member: Member) -> str:
    """Data in the head, which name the member's page on LinkedIn."""
    return (
        '<script type="application/ld+json">{"@context": "https://schema.org", "@type": "NGO", '
        f'"name": "{member.name_fr}", "url": "{member.site}", '
        f'"sameAs": ["https://www.linkedin.com/company/{member.slug}"]}}</script>\n'
    )


def credit(_member: Member) -> str:
    """The names of those who made the theme: nobody's channel here."""
    return (
        '<p class="site-info">Fièrement propulsé par <a '
        'href="https://www.facebook.com/WordPresscom">WordPress</a> – '
        'Thème Aneme, réalisé par <a href="https://www.facebook.com/StudioTafrawtPixel">'
        "Studio Tafrawt Pixel</a></p>"
    )
