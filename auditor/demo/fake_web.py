"""The fake web behind the proxy: the response of each host in each run.

A host that no association and no platform has does not exist.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from auditor.demo import website_scenarios
from auditor.demo.account_scenarios import UNRELIABLE_YOUTUBE_RUN
from auditor.demo.associations import (
    OPTIONAL_DEMO_CHANNELS,
    DemoAssociation,
    load_demo_associations,
)
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
from auditor.demo.pages import (
    domain_registry,
    facebook,
    linkedin,
    optional_networks,
    site,
    site_variants,
    twitter,
    youtube,
)

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
"""Names of the canaries on Facebook and YouTube, in lower case."""

CANARY_X_IDS = {
    "tamesna_sud": 1_203_000_000_000_000_001,
    "biblio_zerhouna": 1_203_000_000_000_000_002,
}
"""Names of the canaries on X, with their ids."""

PlatformHandler = Callable[[FakeRequest, DemoRun], FakeResponse]


class FakeWeb:
    """The sites and platform accounts of the associations. Implements `ProxyBackend`."""

    def __init__(self, associations: tuple[DemoAssociation, ...] | None = None) -> None:
        associations = load_demo_associations() if associations is None else associations
        self._associations_by_host: dict[str, DemoAssociation] = {}
        self._associations_by_youtube_name: dict[str, DemoAssociation] = {}
        for association in associations:
            if association.website in website_scenarios.SITE_SCENARIOS:
                self._associations_by_host[association.host] = association
            if association.website == "moved":
                new_host = site_variants.get_moved_host(association)
                self._associations_by_host[new_host] = association
            for name in _get_youtube_names(association):
                self._associations_by_youtube_name[name] = association
        self._associations = associations
        self._associations_by_account_name = {
            channel: _index_by_account_name(associations, channel)
            for channel in ("facebook", "twitter", "linkedin", *OPTIONAL_DEMO_CHANNELS)
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
            **self._build_optional_handlers(),
            domain_registry.REGISTRY_HOST: self._respond_domain_registry,
            domain_registry.SUCCESSOR_HOST: self._respond_domain_registry,
        }
        self._host_aliases = {
            "facebook.com": "www.facebook.com",
            "m.facebook.com": "www.facebook.com",
            "twitter.com": "x.com",
            "linkedin.com": "www.linkedin.com",
            "youtube.com": "www.youtube.com",
            "instagram.com": "www.instagram.com",
            "tiktok.com": "www.tiktok.com",
            "whatsapp.com": "www.whatsapp.com",
        }

    def _build_optional_handlers(self) -> dict[str, PlatformHandler]:
        """Return the handlers of the optional networks by host."""
        accounts = self._associations_by_account_name
        return {
            "www.instagram.com": partial(
                optional_networks.respond_instagram, accounts["instagram"]
            ),
            "www.tiktok.com": partial(optional_networks.respond_tiktok, accounts["tiktok"]),
            "www.whatsapp.com": partial(optional_networks.respond_whatsapp, accounts["whatsapp"]),
            "t.me": partial(optional_networks.respond_telegram, accounts["telegram"]),
        }

    def find_tunnel_refusal(self, host: str, demo_run: DemoRun) -> FakeResponse | None:
        """Return an error if the host does not exist, does not respond or has no HTTPS."""
        if not self._host_exists(host, demo_run):
            return NO_SUCH_HOST_RESPONSE
        scenario = self._find_scenario(host)
        if scenario is None:
            return None
        if not website_scenarios.is_unresponsive(scenario, demo_run):
            return None if scenario.has_https else CONNECTION_REFUSED_RESPONSE
        if host.startswith("www."):
            return CONNECTION_REFUSED_RESPONSE
        return CONNECTION_TIMEOUT_RESPONSE

    def get_certificate_expiry(self, host: str, demo_run: DemoRun) -> datetime:
        """Return the expiry of the host's certificate, before the first run if it is expired."""
        scenario = self._find_scenario(host)
        if scenario and website_scenarios.is_during(scenario.expired_certificate_runs, demo_run):
            return demo_run.days_before_last_run(demo_run.total_runs + 3)
        if scenario is None:
            return demo_run.last_run_at + DEFAULT_CERTIFICATE_LIFETIME
        return demo_run.last_run_at + timedelta(days=scenario.certificate_days)

    def respond(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        """Return the response to a request."""
        if alias := self._host_aliases.get(request.host):
            return redirect_response(f"https://{alias}{request.target}")
        if handler := self._platform_handlers.get(request.host):
            return handler(request, demo_run)
        if not self._host_exists(request.host, demo_run):
            return NO_SUCH_HOST_RESPONSE
        if request.host in CANARY_SITES:
            return site.make_wordpress_site()(CANARY_SITES[request.host], request, demo_run)
        return self._respond_site(request, demo_run)

    def _respond_site(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        host = request.host.removeprefix("www.")
        association, scenario = self._associations_by_host[host], self._find_scenario(host)
        if scenario is None or request.path == "/favicon.ico":
            return html_response("", 404)
        if website_scenarios.is_unresponsive(scenario, demo_run):
            return CONNECTION_REFUSED_RESPONSE  # port 80 is closed
        scheme = "https" if scenario.has_https else request.scheme
        if (request.scheme, request.host) != (scheme, host):
            return redirect_response(f"{scheme}://{host}{request.target}")
        return scenario.handler(association, request, demo_run)

    def _host_exists(self, host: str, demo_run: DemoRun) -> bool:
        if host in self._platform_handlers or host in self._host_aliases or host in CANARY_SITES:
            return True
        scenario = self._find_scenario(host)
        return scenario is not None and not website_scenarios.is_during(
            scenario.unresolvable_runs, demo_run
        )

    def _find_scenario(self, host: str) -> website_scenarios.SiteScenario | None:
        member = self._associations_by_host.get(host.removeprefix("www."))
        return website_scenarios.SITE_SCENARIOS[member.website] if member else None

    def _respond_domain_registry(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        return domain_registry.respond_domain_registry(
            self._associations_by_host, request, demo_run
        )

    def _respond_facebook(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        name = request.path.strip("/").removeprefix("groups/").lower()
        if name in CANARY_ACCOUNT_NAMES:
            page = facebook.build_canary_page(name, demo_run)
            return html_response(facebook.render_facebook_page(page, request.url))
        association = self._associations_by_account_name["facebook"].get(name)
        if association is None:
            return facebook.respond_other_facebook(request)
        return facebook.respond_facebook(association, request, demo_run)

    def _respond_twitter(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        name = request.path.strip("/").lower()
        association = self._associations_by_account_name["twitter"].get(name)
        if association is None:
            return twitter.respond_other_twitter(request)
        return twitter.respond_twitter(association, request, demo_run)

    def _respond_linkedin(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        name = request.path.strip("/").rsplit("/", 1)[-1]
        association = self._associations_by_account_name["linkedin"].get(name)
        if association is None:
            return linkedin.respond_other_linkedin(request)
        return linkedin.respond_linkedin(association, request, demo_run)

    def _respond_youtube(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        if request.path == "/robots.txt" or demo_run.number == UNRELIABLE_YOUTUBE_RUN:
            return youtube.respond_other_youtube(request)
        path = request.path.removeprefix("/channel").strip("/")
        name = path.split("/", 1)[0].removeprefix("@").lower()
        if name in CANARY_ACCOUNT_NAMES:
            canary = youtube.build_canary_channel(name, demo_run)
            return youtube.build_channel_response(canary, request.path)
        association = self._associations_by_youtube_name.get(name)
        if association is None:
            return youtube.respond_other_youtube(request)
        return youtube.respond_youtube(association, request, demo_run)

    def _respond_youtube_api(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        channels: dict[str, youtube.FakeYoutubeChannel] = {}
        for name in CANARY_ACCOUNT_NAMES:
            canary = youtube.build_canary_channel(name, demo_run)
            channels |= {canary.id: canary, f"@{canary.handle}": canary}
        for name, association in self._associations_by_youtube_name.items():
            if not youtube.is_terminated(association, demo_run):
                channel = youtube.build_youtube_channel(association, demo_run)
                channels |= {f"@{name}": channel, channel.id: channel}
        return youtube.respond_youtube_api(channels, request, demo_run)

    def _respond_twitter_api(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        users: dict[str, twitter.FakeTwitterUser] = {}
        for name, user_id in CANARY_X_IDS.items():
            canary = twitter.build_canary_user(name, user_id, demo_run)
            users |= {canary.username: canary, canary.id: canary}
        users |= twitter.build_twitter_users(self._associations, demo_run)
        return twitter.respond_twitter_api(users, request, demo_run)

    def _respond_graph_api(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        pages: dict[str, facebook.FakeGraphPage] = {}
        for name in CANARY_ACCOUNT_NAMES:
            canary = facebook.build_canary_graph_page(name, demo_run)
            pages |= {name: canary, canary.id: canary}
        pages |= facebook.build_graph_pages(self._associations, demo_run)
        return facebook.respond_graph_api(pages, request, demo_run)


def _index_by_account_name(
    associations: tuple[DemoAssociation, ...], channel: str
) -> dict[str, DemoAssociation]:
    """Return associations by account name on a channel, with the new names of renamed pages.

    A shared page belongs to its owner, also if another association registers it.
    """
    associations_by_name: dict[str, DemoAssociation] = {}
    for association in associations:
        scenario_name = association.get_scenario_name(channel)
        if scenario_name == "duplicate":
            associations_by_name[association.old_facebook_handle.lower()] = association
        url = association.get_profile_url(channel)
        if url and scenario_name != "shared":
            name = url.rstrip("/").rsplit("/", 1)[-1].removeprefix("@").lower()
            associations_by_name[name] = association
            associations_by_name[name + facebook.RENAMED_SUFFIX.lower()] = association
    return associations_by_name


def _get_youtube_names(association: DemoAssociation) -> tuple[str, ...]:
    """Return the names of an association's channel, also of a channel that only its site links."""
    if not association.youtube and association.website != "footer_unlisted":
        return ()
    handle = association.handle.lower()
    return (handle, f"{handle}officiel", association.youtube_channel_id.lower())
