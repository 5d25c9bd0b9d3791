"""Sites in good health with one thing that is odd: slow, huge, closed to robots, moved, linked strangely."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from auditor.demo.associations import Member
from auditor.demo.model import Answer, Request, Tonight, page, plain, redirect
from auditor.demo.pages import site_engines
from auditor.demo.pages.site import Frame

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
