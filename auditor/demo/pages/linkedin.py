"""LinkedIn as it answers without an account: 999 to robots, the authwall, and now and then a guest page."""

from __future__ import annotations

import json
from html import escape
from urllib.parse import quote

from auditor.demo.associations import Member
from auditor.demo.model import Answer, Request, Tonight, page, plain, redirect

DENIED = (
    "<html><head><script>window.onload = function() { var trk = 'bf'; "
    'location.href = "https://" + location.hostname + "/authwall?trk=" + trk; }</script></head></html>'
)
AUTHWALL = (
    '<html lang="fr"><head><title>S’inscrire | LinkedIn</title></head><body><main class="authwall">'
    '<form action="/signup/cold-join"></form></main></body></html>'
)


def answer(member: Member, request: Request, _tonight: Tonight) -> Answer:
    """What the member's page answers."""
    if member.linkedin == "authwall":
        return redirect(
            f"https://www.linkedin.com/authwall?sessionRedirect={quote(request.url, safe='')}", 302
        )
    if member.linkedin in ("guest", "guest_dormant"):
        return page(_guest(member, ("2y", "3y") if member.linkedin == "guest_dormant" else ("2w", "2mo")))
    return denied()


def other(request: Request) -> Answer:
    """999, but for the pages that everybody gets."""
    if request.path == "/robots.txt":
        return plain("User-agent: *\nDisallow: /\n")
    return page(AUTHWALL) if request.path.startswith("/authwall") else denied()


def denied() -> Answer:
    """999 is LinkedIn's no to robots, whether the page is there or not."""
    return page(DENIED, 999)


def _guest(member: Member, ages: tuple[str, ...]) -> str:
    url = f"https://www.linkedin.com/company/{member.slug}"
    organization = {
        "@context": "http://schema.org",
        "@type": "Organization",
        "name": member.name_fr,
        "url": url,
    }
    return (
        f'<!DOCTYPE html><html lang="en"><head><title>{escape(member.name_fr)} | LinkedIn</title>'
        f'<link rel="canonical" href="{url}"><meta property="og:url" content="{url}">'
        f'<meta property="og:title" content="{escape(member.name_fr)} | LinkedIn">'
        '<script type="application/ld+json">'
        f"{json.dumps(organization, ensure_ascii=False)}</script></head><body>"
        f'<h1 class="top-card-layout__title">{escape(member.name_fr)}</h1>'
        '<h3 class="top-card-layout__first-subline">Non-profit Organizations · 214 followers</h3>'
        f'<ul class="updates__list">{"".join(map(_update, ages))}</ul>'
        "</body></html>"
    )


def _update(age: str) -> str:
    return (
        f'<li><article data-activity-urn="urn:li:activity:share"><time>{age}</time>'
        '<p data-test-id="main-feed-activity-card__commentary">Retour sur notre rencontre.</p></article></li>'
    )
