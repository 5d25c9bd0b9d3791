"""The world behind the proxy: which host answers what tonight. A host that is nobody's does not exist."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from auditor.demo import website_scenarios
from auditor.demo.account_scenarios import UNRELIABLE_YOUTUBE_RUN
from auditor.demo.associations import DemoAssociation, load_demo_associations
from auditor.demo.model import (
    CONNECTION_REFUSED_RESPONSE,
    CONNECTION_TIMEOUT_RESPONSE,
    NO_SUCH_HOST_RESPONSE,
    DemoRun,
    FakeRequest,
    FakeResponse,
    html_response,
    redirect_response,
)
from auditor.demo.pages import facebook, linkedin, site_engines, site_variants, twitter, youtube

DEFAULT_CERTIFICATE_LIFETIME = timedelta(days=80)
CANARY_SITES = {
    "bibliotheque-zerhouna.ma": DemoAssociation(
        "a901",
        "Bibliothèque Zerhouna",
        "خزانة زرهونة",
        "Fès-Meknès",
        "Meknès",
        "fr",
        "zerhouna",
        *[""] * 5,
    ),
    "gazette-tamesna-sud.ma": DemoAssociation(
        "a902",
        "Gazette Tamesna Sud",
        "جريدة تامسنا الجنوب",
        "Rabat-Salé-Kénitra",
        "Rabat",
        "ar",
        "tamesna",
        *[""] * 5,
    ),
}
CANARY_ACCOUNT_NAMES = {"gazettetamesnasud", "bibliothequezerhouna"}
"""The accounts known to exist, lower case, on Facebook and YouTube."""

CANARY_X_IDS = {
    "tamesna_sud": 1_203_000_000_000_000_001,
    "biblio_zerhouna": 1_203_000_000_000_000_002,
}
"""Those on X, with their numbers."""

PlatformHandler = Callable[[FakeRequest, DemoRun], FakeResponse]


class FakeWeb:
    """The cast, its platforms and its sites."""

    def __init__(self, associations: tuple[DemoAssociation, ...] | None = None) -> None:
        associations = load_demo_associations() if associations is None else associations
        self._associations_by_host = {
            member.host: member
            for member in associations
            if member.website in website_scenarios.SITE_SCENARIOS
        }
        self._associations_by_host |= {
            site_variants.get_moved_host(m): m for m in associations if m.website == "moved"
        }
        self._associations = associations
        self._associations_by_account_name = {
            channel: _index_by_account_name(associations, channel)
            for channel in ("facebook", "twitter", "linkedin")
        }
        self._associations_by_youtube_name = {
            name: m for m in associations for name in _get_youtube_names(m)
        }
        self._platform_handlers: dict[str, PlatformHandler] = {
            "www.facebook.com": self._respond_facebook,
            "x.com": self._respond_twitter,
            "www.linkedin.com": self._respond_linkedin,
            "www.youtube.com": self._respond_youtube,
            "consent.youtube.com": lambda request, _: youtube.respond_youtube_consent(request),
            "www.googleapis.com": self._respond_youtube_api,
            "api.x.com": self._respond_twitter_api,
            "graph.facebook.com": self._respond_graph_api,
        }
        self._host_aliases = {
            "facebook.com": "www.facebook.com",
            "m.facebook.com": "www.facebook.com",
            "twitter.com": "x.com",
            "linkedin.com": "www.linkedin.com",
            "youtube.com": "www.youtube.com",
        }

    def find_tunnel_refusal(self, host: str, demo_run: DemoRun) -> FakeResponse | None:
        """The refusal of a tunnel: the name does not exist, or nobody listens for TLS, or nobody answers."""
        if not self._host_exists(host, demo_run):
            return NO_SUCH_HOST_RESPONSE
        script = self._find_scenario(host)
        if script and website_scenarios.is_unresponsive(script, demo_run):
            return (
                CONNECTION_REFUSED_RESPONSE
                if host.startswith("www.")
                else CONNECTION_TIMEOUT_RESPONSE
            )
        return CONNECTION_REFUSED_RESPONSE if script and not script.has_https else None

    def get_certificate_expiry(self, host: str, demo_run: DemoRun) -> datetime:
        """Until when the host's certificate is good; an expired one ended before the first night."""
        script = self._find_scenario(host)
        if script and website_scenarios.is_during(script.expired_certificate_runs, demo_run):
            return demo_run.days_before_last_run(demo_run.total_runs + 3)
        return demo_run.last_run_at + (
            timedelta(days=script.certificate_days) if script else DEFAULT_CERTIFICATE_LIFETIME
        )

    def respond(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        """What the web answers to one request."""
        if alias := self._host_aliases.get(request.host):
            return redirect_response(f"https://{alias}{request.target}")
        if platform := self._platform_handlers.get(request.host):
            return platform(request, demo_run)
        if not self._host_exists(request.host, demo_run):
            return NO_SUCH_HOST_RESPONSE
        if request.host in CANARY_SITES:
            return site_engines.make_wordpress_site()(CANARY_SITES[request.host], request, demo_run)
        return self._respond_site(request, demo_run)

    def _respond_site(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        bare = request.host.removeprefix("www.")
        member, script = self._associations_by_host[bare], self._find_scenario(bare)
        if script is None or request.path == "/favicon.ico":
            return html_response("", 404)
        if website_scenarios.is_unresponsive(script, demo_run):
            return CONNECTION_REFUSED_RESPONSE  # its port 80 is shut
        if bare != request.host or (request.scheme == "http" and script.has_https):
            return redirect_response(
                f"{'https' if script.has_https else 'http'}://{bare}{request.target}"
            )
        return script.handler(member, request, demo_run)

    def _host_exists(self, host: str, demo_run: DemoRun) -> bool:
        if host in self._platform_handlers or host in self._host_aliases or host in CANARY_SITES:
            return True
        script = self._find_scenario(host)
        return script is not None and not website_scenarios.is_during(
            script.unresolvable_runs, demo_run
        )

    def _find_scenario(self, host: str) -> website_scenarios.SiteScenario | None:
        member = self._associations_by_host.get(host.removeprefix("www."))
        return website_scenarios.SITE_SCENARIOS[member.website] if member else None

    def _respond_facebook(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        name = request.path.strip("/").removeprefix("groups/").lower()
        if name in CANARY_ACCOUNT_NAMES:
            return html_response(
                facebook.render_facebook_page(
                    facebook.build_canary_page(name, demo_run), request.url
                )
            )
        member = self._associations_by_account_name["facebook"].get(name)
        return (
            facebook.respond_facebook(member, request, demo_run)
            if member
            else facebook.respond_other_facebook(request)
        )

    def _respond_twitter(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        member = self._associations_by_account_name["twitter"].get(request.path.strip("/").lower())
        return (
            twitter.respond_twitter(member, request, demo_run)
            if member
            else twitter.respond_other_twitter(request)
        )

    def _respond_linkedin(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        member = self._associations_by_account_name["linkedin"].get(
            request.path.strip("/").rsplit("/", 1)[-1]
        )
        return (
            linkedin.respond_linkedin(member, request, demo_run)
            if member
            else linkedin.respond_other_linkedin(request)
        )

    def _respond_youtube(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        if request.path == "/robots.txt" or demo_run.number == UNRELIABLE_YOUTUBE_RUN:
            return youtube.respond_other_youtube(request)
        name = (
            request.path.removeprefix("/channel")
            .strip("/")
            .split("/", 1)[0]
            .removeprefix("@")
            .lower()
        )
        if name in CANARY_ACCOUNT_NAMES:
            return youtube.build_channel_response(
                youtube.build_canary_channel(name, demo_run), request.path
            )
        member = self._associations_by_youtube_name.get(name)
        if member is None:
            return youtube.respond_other_youtube(request)
        return youtube.respond_youtube(member, request, demo_run)

    def _respond_youtube_api(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        canaries = [youtube.build_canary_channel(name, demo_run) for name in CANARY_ACCOUNT_NAMES]
        found = {name: one for one in canaries for name in (one.id, f"@{one.handle}")}
        for name, member in self._associations_by_youtube_name.items():
            if not youtube.is_terminated(member, demo_run):
                channel = youtube.build_youtube_channel(member, demo_run)
                found |= {f"@{name}": channel, channel.id: channel}
        return youtube.respond_youtube_api(found, request, demo_run)

    def _respond_twitter_api(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        canaries = [
            twitter.build_canary_user(name, number, demo_run)
            for name, number in CANARY_X_IDS.items()
        ]
        known = {key: one for one in canaries for key in (one.username, one.id)}
        return twitter.respond_twitter_api(
            known | twitter.build_twitter_users(self._associations, demo_run), request, demo_run
        )

    def _respond_graph_api(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        canaries = {
            name: facebook.build_canary_graph_page(name, demo_run) for name in CANARY_ACCOUNT_NAMES
        }
        known = canaries | {one.id: one for one in canaries.values()}
        return facebook.respond_graph_api(
            known | facebook.build_graph_pages(self._associations, demo_run), request, demo_run
        )


def _index_by_account_name(
    associations: tuple[DemoAssociation, ...], channel: str
) -> dict[str, DemoAssociation]:
    """Members by the last part of their address on a channel; a renamed page also by its new name.

    A shared page is its owner's, whoever else registers it.
    """
    found: dict[str, DemoAssociation] = {}
    for member in associations:
        if member.get_scenario_name(channel) == "duplicate":
            found[member.old_facebook_handle.lower()] = member
        if member.get_scenario_name(channel) != "shared" and (
            url := member.get_profile_url(channel)
        ):
            name = url.rsplit("/", 1)[-1].lower()
            found[name] = found[name + facebook.RENAMED_SUFFIX.lower()] = member
    return found


def _get_youtube_names(association: DemoAssociation) -> tuple[str, ...]:
    """The names a channel answers to; the one that the footer of `footer_unlisted` shows is there too."""
    if not association.youtube and association.website != "footer_unlisted":
        return ()
    handle = association.handle.lower()
    return (handle, f"{handle}officiel", association.youtube_channel_id.lower())
