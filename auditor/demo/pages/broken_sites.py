"""What stands at an association's address when its site does not: each text as its maker serves it."""

from __future__ import annotations

from auditor.demo.associations import Member
from auditor.demo.model import Answer, Request, Tonight, page, plain, redirect

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
