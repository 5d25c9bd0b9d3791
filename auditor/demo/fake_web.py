"""The fake web behind the proxy: the response of each host in each run.

A host that no association and no platform has does not exist.
"""

from datetime import datetime, timedelta

from auditor.demo.apis import APIS
from auditor.demo.associations import ALL_DEMO_CHANNELS, CANARIES, load_demo_associations
from auditor.demo.model import (
    CONNECTION_REFUSED_RESPONSE,
    CONNECTION_TIMEOUT_RESPONSE,
    NO_SUCH_HOST_RESPONSE,
    DemoRun,
    FakeRequest,
    FakeResponse,
    html_response,
    redirect_response,
    text_response,
)
from auditor.demo.platforms import PLATFORMS, ROBOTS_BY_HOST
from auditor.demo.scenarios import SITE_SCENARIOS, SiteScenario, is_during
from auditor.demo.sites import respond_site

HOST_ALIASES = {
    "facebook.com": "www.facebook.com",
    "m.facebook.com": "www.facebook.com",
    "twitter.com": "x.com",
    "linkedin.com": "www.linkedin.com",
    "youtube.com": "www.youtube.com",
    "instagram.com": "www.instagram.com",
    "tiktok.com": "www.tiktok.com",
    "whatsapp.com": "www.whatsapp.com",
}
HANDLERS = {**PLATFORMS, **APIS}


class FakeWeb:
    """The sites and platform accounts of the associations."""

    def __init__(self) -> None:
        associations = (*load_demo_associations(), *CANARIES)
        self._accounts = {
            channel: {
                name: association
                for association in associations
                for name in association.list_account_names(channel)
            }
            for channel in ALL_DEMO_CHANNELS
        }

    def find_tunnel_refusal(self, host: str, demo_run: DemoRun) -> FakeResponse | None:
        """Return an error if the host does not exist, does not respond or has no HTTPS."""
        if host in HANDLERS or host in HOST_ALIASES:
            return None
        site = self._find_site(host)
        if site is None or is_during(site.unresolvable_runs, demo_run):
            return NO_SUCH_HOST_RESPONSE
        if not site.is_unresponsive(demo_run):
            return None if site.has_https else CONNECTION_REFUSED_RESPONSE
        return (
            CONNECTION_REFUSED_RESPONSE if host.startswith("www.") else CONNECTION_TIMEOUT_RESPONSE
        )

    def get_certificate_expiry(self, host: str, demo_run: DemoRun) -> datetime:
        """Return the expiry of the host's certificate, before the first run if it is expired."""
        site = self._find_site(host) or SiteScenario()
        if is_during(site.expired_certificate_runs, demo_run):
            return demo_run.days_before_last_run(demo_run.total_runs + 3)
        return demo_run.last_run_at + timedelta(days=site.certificate_days)

    def respond(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        """Return the response to a request."""
        if alias := HOST_ALIASES.get(request.host):
            return redirect_response(f"https://{alias}{request.target}")
        if request.path == "/robots.txt" and request.host in ROBOTS_BY_HOST:
            return text_response(ROBOTS_BY_HOST[request.host])
        if request.host in HANDLERS:
            channel, handler = HANDLERS[request.host]
            return handler(self._accounts[channel], request, demo_run)
        return self._respond_site(request, demo_run)

    def _respond_site(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        site, host = self._find_site(request.host), request.host.removeprefix("www.")
        if site is None or is_during(site.unresolvable_runs, demo_run):
            return NO_SUCH_HOST_RESPONSE
        if request.path == "/favicon.ico":
            return html_response("", 404)
        if site.is_unresponsive(demo_run):
            return CONNECTION_REFUSED_RESPONSE  # port 80 is closed
        scheme = "https" if site.has_https else request.scheme
        if (request.scheme, request.host) != (scheme, host):
            return redirect_response(f"{scheme}://{host}{request.target}")
        return respond_site(self._accounts["website"][host], request, demo_run)

    def _find_site(self, host: str) -> SiteScenario | None:
        association = self._accounts["website"].get(host.removeprefix("www."))
        return SITE_SCENARIOS[association.website] if association else None
