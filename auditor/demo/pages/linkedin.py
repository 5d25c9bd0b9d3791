"""LinkedIn pages without login: status 999 for robots, the signup page, and some guest pages."""

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
    'location.href = "https://" + location.hostname + "/authwall?trk=" + trk; }</script></head>'
    "</html>"
)
AUTHWALL_HTML = (
    '<html lang="fr"><head><title>S’inscrire | LinkedIn</title></head><body><main class="authwall">'
    '<form action="/signup/cold-join"></form></main></body></html>'
)


def respond_linkedin(
    association: DemoAssociation, request: FakeRequest, _demo_run: DemoRun
) -> FakeResponse:
    """Return the response of an association's page."""
    if association.linkedin == "authwall":
        return_url = quote(request.url, safe="")
        return redirect_response(
            f"https://www.linkedin.com/authwall?sessionRedirect={return_url}", 302
        )
    if association.linkedin == "guest":
        return html_response(_render_guest_page(association, ("2w", "2mo")))
    if association.linkedin == "guest_dormant":
        return html_response(_render_guest_page(association, ("2y", "3y")))
    return build_denied_response()


def respond_other_linkedin(request: FakeRequest) -> FakeResponse:
    """Return robots.txt, the signup page, or status 999 for all other paths."""
    if request.path == "/robots.txt":
        return text_response("User-agent: *\nDisallow: /\n")
    if request.path.startswith("/authwall"):
        return html_response(AUTHWALL_HTML)
    return build_denied_response()


def build_denied_response() -> FakeResponse:
    """Return status 999, with which LinkedIn refuses robots for existing and missing pages."""
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
        f'<!DOCTYPE html><html lang="en"><head><title>{escape(association.name_fr)} |'
        " LinkedIn</title>"
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
        '<p data-test-id="main-feed-activity-card__commentary">Retour sur notre rencontre.</p>'
        "</article></li>"
    )
