"""The world behind the proxy: which host answers what tonight. A host that is nobody's does not exist."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from auditor.demo import website_scenarios
from auditor.demo.account_scenarios import BLIND_NIGHT
from auditor.demo.associations import Member, cast
from auditor.demo.model import (
    NO_SUCH_HOST,
    NOBODY_ANSWERS,
    NOBODY_LISTENS,
    Answer,
    Request,
    Tonight,
    page,
    redirect,
)
from auditor.demo.pages import facebook, linkedin, site_engines, site_variants, twitter, youtube

FOR_LONG = timedelta(days=80)
CANARY_SITES = {
    "bibliotheque-zerhouna.ma": Member(
        "a901", "Bibliothèque Zerhouna", "خزانة زرهونة", "Fès-Meknès", "Meknès", "fr", "zerhouna", *[""] * 5
    ),
    "gazette-tamesna-sud.ma": Member(
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
CANARY_NAMES = {"gazettetamesnasud", "bibliothequezerhouna"}
"""The accounts known to exist, lower case, on Facebook and YouTube."""

CANARY_HANDLES = {"tamesna_sud": 1_203_000_000_000_000_001, "biblio_zerhouna": 1_203_000_000_000_000_002}
"""Those on X, with their numbers."""

Platform = Callable[[Request, Tonight], Answer]


class PracticeWorld:
    """The cast, its platforms and its sites."""

    def __init__(self, members: tuple[Member, ...] | None = None) -> None:
        members = cast() if members is None else members
        self._sites = {member.host: member for member in members if member.website in website_scenarios.SITES}
        self._sites |= {site_variants.new_home(m): m for m in members if m.website == "moved"}
        self._members = members
        self._names = {channel: _by_name(members, channel) for channel in ("facebook", "twitter", "linkedin")}
        self._channels = {name: m for m in members for name in _channel_names(m)}
        self._platforms: dict[str, Platform] = {
            "www.facebook.com": self._facebook,
            "x.com": self._twitter,
            "www.linkedin.com": self._linkedin,
            "www.youtube.com": self._youtube,
            "consent.youtube.com": lambda request, _: youtube.consent(request),
            "www.googleapis.com": self._youtube_api,
            "api.x.com": self._twitter_api,
            "graph.facebook.com": self._graph,
        }
        self._aliases = {
            "facebook.com": "www.facebook.com",
            "m.facebook.com": "www.facebook.com",
            "twitter.com": "x.com",
            "linkedin.com": "www.linkedin.com",
            "youtube.com": "www.youtube.com",
        }

    def tunnel(self, host: str, tonight: Tonight) -> Answer | None:
        """The refusal of a tunnel: the name does not exist, or nobody listens for TLS, or nobody answers."""
        if not self._exists(host, tonight):
            return NO_SUCH_HOST
        script = self._script(host)
        if script and website_scenarios.is_silent(script, tonight):
            return NOBODY_LISTENS if host.startswith("www.") else NOBODY_ANSWERS
        return NOBODY_LISTENS if script and not script.https else None

    def certificate(self, host: str, tonight: Tonight) -> datetime:
        """Until when the host's certificate is good; an expired one ended before the first night."""
        script = self._script(host)
        if script and website_scenarios.during(script.expired, tonight):
            return tonight.ago(tonight.nights + 3)
        return tonight.last + (timedelta(days=script.days) if script else FOR_LONG)

    def answer(self, request: Request, tonight: Tonight) -> Answer:
        """What the web answers to one request."""
        if alias := self._aliases.get(request.host):
            return redirect(f"https://{alias}{request.target}")
        if platform := self._platforms.get(request.host):
            return platform(request, tonight)
        if not self._exists(request.host, tonight):
            return NO_SUCH_HOST
        if request.host in CANARY_SITES:
            return site_engines.wordpress()(CANARY_SITES[request.host], request, tonight)
        return self._site(request, tonight)

    def _site(self, request: Request, tonight: Tonight) -> Answer:
        bare = request.host.removeprefix("www.")
        member, script = self._sites[bare], self._script(bare)
        if script is None or request.path == "/favicon.ico":
            return page("", 404)
        if website_scenarios.is_silent(script, tonight):
            return NOBODY_LISTENS  # its port 80 is shut
        if bare != request.host or (request.scheme == "http" and script.https):
            return redirect(f"{'https' if script.https else 'http'}://{bare}{request.target}")
        return script.show(member, request, tonight)

    def _exists(self, host: str, tonight: Tonight) -> bool:
        if host in self._platforms or host in self._aliases or host in CANARY_SITES:
            return True
        script = self._script(host)
        return script is not None and not website_scenarios.during(script.missing, tonight)

    def _script(self, host: str) -> website_scenarios.Script | None:
        member = self._sites.get(host.removeprefix("www."))
        return website_scenarios.SITES[member.website] if member else None

    def _facebook(self, request: Request, tonight: Tonight) -> Answer:
        name = request.path.strip("/").removeprefix("groups/").lower()
        if name in CANARY_NAMES:
            return page(facebook.markup(facebook.always(name, tonight), request.url))
        member = self._names["facebook"].get(name)
        return facebook.answer(member, request, tonight) if member else facebook.other(request)

    def _twitter(self, request: Request, tonight: Tonight) -> Answer:
        member = self._names["twitter"].get(request.path.strip("/").lower())
        return twitter.answer(member, request, tonight) if member else twitter.other(request)

    def _linkedin(self, request: Request, tonight: Tonight) -> Answer:
        member = self._names["linkedin"].get(request.path.strip("/").rsplit("/", 1)[-1])
        return linkedin.answer(member, request, tonight) if member else linkedin.other(request)

    def _youtube(self, request: Request, tonight: Tonight) -> Answer:
        if request.path == "/robots.txt" or tonight.number == BLIND_NIGHT:
            return youtube.other(request)
        name = request.path.removeprefix("/channel").strip("/").split("/", 1)[0].removeprefix("@").lower()
        if name in CANARY_NAMES:
            return youtube.channel_page(youtube.canary(name, tonight), request.path)
        member = self._channels.get(name)
        if member is None:
            return youtube.other(request)
        return youtube.answer(member, request, tonight)

    def _youtube_api(self, request: Request, tonight: Tonight) -> Answer:
        canaries = [youtube.canary(name, tonight) for name in CANARY_NAMES]
        found = {name: one for one in canaries for name in (one.id, f"@{one.handle}")}
        for name, member in self._channels.items():
            if not youtube.is_terminated(member, tonight):
                channel = youtube.channel(member, tonight)
                found |= {f"@{name}": channel, channel.id: channel}
        return youtube.answer_api_request(found, request, tonight)

    def _twitter_api(self, request: Request, tonight: Tonight) -> Answer:
        canaries = [twitter.canary(name, number, tonight) for name, number in CANARY_HANDLES.items()]
        known = {key: one for one in canaries for key in (one.username, one.id)}
        return twitter.answer_api_request(known | twitter.users(self._members, tonight), request, tonight)

    def _graph(self, request: Request, tonight: Tonight) -> Answer:
        canaries = {name: facebook.canary(name, tonight) for name in CANARY_NAMES}
        known = canaries | {one.id: one for one in canaries.values()}
        return facebook.answer_api_request(known | facebook.pages(self._members, tonight), request, tonight)


def _by_name(members: tuple[Member, ...], channel: str) -> dict[str, Member]:
    """Members by the last part of their address on a channel; a renamed page also by its new name.

    A shared page is its owner's, whoever else registers it.
    """
    found: dict[str, Member] = {}
    for member in members:
        if member.situation(channel) == "duplicate":
            found[member.old_page.lower()] = member
        if member.situation(channel) != "shared" and (url := member.profile(channel)):
            name = url.rsplit("/", 1)[-1].lower()
            found[name] = found[name + facebook.RENAMED_SUFFIX.lower()] = member
    return found


def _channel_names(member: Member) -> tuple[str, ...]:
    """The names a channel answers to; the one that the footer of `footer_unlisted` shows is there too."""
    if not member.youtube and member.website != "footer_unlisted":
        return ()
    handle = member.handle.lower()
    return (handle, f"{handle}officiel", member.channel_id.lower())
