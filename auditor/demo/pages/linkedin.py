"""LinkedIn as it answers without an account: 999 to robots, the authwall, and now and then a guest page."""

from __future__ import annotations

import json
from html import escape
from urllib.parse import quote

from auditor.demo.associations import DemoAssociation
from auditor.demo.model import (
    DemoRun,
    FakeRequest,
    FakeResponse,
    html_response,
    redirect_response,
    text_response,
)

DENIED_HTML = (
    "<html><head><script>window.onload = function() { var trk = 'bf'; "
    'location.href = "https://" + location.hostname + "/authwall?trk=" + trk; }</script></head></html>'
)
AUTHWALL_HTML = (
    '<html lang="fr"><head><title>S’inscrire | LinkedIn</title></head><body><main class="authwall">'
    '<form action="/signup/cold-join"></form></main></body></html>'
)


def respond_linkedin(
    association: DemoAssociation, request: FakeRequest, _demo_run: DemoRun
) -> FakeResponse:
    """What the member's page answers."""
    if association.linkedin == "authwall":
        return redirect_response(
            f"https://www.linkedin.com/authwall?sessionRedirect={quote(request.url, safe='')}", 302
        )
    if association.linkedin in ("guest", "guest_dormant"):
        return html_response(
            _render_guest_page(
                association,
                ("2y", "3y") if association.linkedin == "guest_dormant" else ("2w", "2mo"),
            )
        )
    return build_denied_response()


def respond_other_linkedin(request: FakeRequest) -> FakeResponse:
    """999, but for the pages that everybody gets."""
    if request.path == "/robots.txt":
        return text_response("User-agent: *\nDisallow: /\n")
    return (
        html_response(AUTHWALL_HTML)
        if request.path.startswith("/authwall")
        else build_denied_response()
    )


def build_denied_response() -> FakeResponse:
    """999 is LinkedIn's no to robots, whether the page is there or not."""
    return html_response(DENIED_HTML, 999)


def _render_guest_page(association: DemoAssociation, ages: tuple[str, ...]) -> str:
    url = f"https://www.linkedin.com/company/{association.slug}"
    organization = {
        "@context": "http://schema.org",
        "@type": "Organization",
        "name": association.name_fr,
        "url": url,
    }
    return (
        f'<!DOCTYPE html><html lang="en"><head><title>{escape(association.name_fr)} | LinkedIn</title>'
        f'<link rel="canonical" href="{url}"><meta property="og:url" content="{url}">'
        f'<meta property="og:title" content="{escape(association.name_fr)} | LinkedIn">'
        '<script type="application/ld+json">'
        f"{json.dumps(organization, ensure_ascii=False)}</script></head><body>"
        f'<h1 class="top-card-layout__title">{escape(association.name_fr)}</h1>'
        '<h3 class="top-card-layout__first-subline">Non-profit Organizations · 214 followers</h3>'
        f'<ul class="updates__list">{"".join(map(_render_update, ages))}</ul>'
        "</body></html>"
    )


def _render_update(age: str) -> str:
    return (
        f'<li><article data-activity-urn="urn:li:activity:share"><time>{age}</time>'
        '<p data-test-id="main-feed-activity-card__commentary">Retour sur notre rencontre.</p></article></li>'
    )
