"""Optional channels: identification of links, and they are ignored unless audited."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import TypeAdapter

from auditor.checking import checker
from auditor.checking.checker import LinkCheck
from auditor.cli.check import keep_audited_channels
from auditor.config.schema import find_packaged_config, load_config
from auditor.evaluation.network_view import build_network_overview
from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.engine import AnyRule
from auditor.runs.run import execute_run
from probes.links import channel_registry, identify
from probes.models.finding import Account, FoundLink, LinkKind, Presence
from probes.models.http import Page
from probes.models.probe import ProbeResult, present_finding, request_page, run_offline
from storage.models.audit import AccountRow
from tests.support.mini_network import START, configured, night_of, opened, register
from tests.support.mini_network import link as registered

OPTIONAL = ("instagram", "telegram", "tiktok")

ACCOUNTS = {
    "https://t.me/Jamiya_Annour": ("telegram", "jamiya_annour"),
    "t.me/jamiya_annour?start=x": ("telegram", "jamiya_annour"),
    "https://t.me/s/Jamiya_Annour": ("telegram", "jamiya_annour"),
    "https://telegram.me/jamiya_annour": ("telegram", "jamiya_annour"),
    "https://telegram.dog/jamiya_annour": ("telegram", "jamiya_annour"),
    "https://jamiya.t.me/": ("telegram", "jamiya"),
    "https://www.tiktok.com/@Jamiya.Annour": ("tiktok", "jamiya.annour"),
    "https://www.tiktok.com/@jamiya.annour?_t=8x&_r=1&lang=ar": ("tiktok", "jamiya.annour"),
    "https://m.tiktok.com/@jamiya_annour/": ("tiktok", "jamiya_annour"),
    "tiktok.com/@jamiya.annour/live": ("tiktok", "jamiya.annour"),
    "https://www.instagram.com/Jamiya.Annour/?igsh=x&hl=fr": ("instagram", "jamiya.annour"),
    "http://instagr.am/Annour_Rabat": ("instagram", "annour_rabat"),
    "m.instagram.com/annour_rabat/tagged/": ("instagram", "annour_rabat"),
    "instagram.com/@annour_rabat": ("instagram", "annour_rabat"),
    "https://www.instagram.com/accounts/login/?next=/annour_rabat/": ("instagram", "annour_rabat"),
    "https://ig.me/m/annour_rabat": ("instagram", "annour_rabat"),
}
POSTS = {
    "https://www.instagram.com/annour_rabat/p/BxKRx5CHn5i/": ("instagram", "annour_rabat"),
    "https://www.instagram.com/annour_rabat/reel/BxKRx5CHn5i/?igsh=x": (
        "instagram",
        "annour_rabat",
    ),
    "https://www.instagram.com/stories/annour_rabat/3456/": ("instagram", "annour_rabat"),
    "https://www.instagram.com/p/BxKRx5CHn5i/?igshid=x": ("instagram", None),
    "https://www.instagram.com/reels/videos/": ("instagram", None),
    "https://www.instagram.com/stories/highlights/17900000000000000/": ("instagram", None),
    "https://t.me/Jamiya_Annour/42": ("telegram", "jamiya_annour"),
    "https://t.me/s/jamiya_annour/42": ("telegram", "jamiya_annour"),
    "https://jamiya.t.me/42": ("telegram", "jamiya"),
    "https://t.me/jamiya_annour/s/3": ("telegram", "jamiya_annour"),
    "https://t.me/c/1234567890/12": ("telegram", None),
    "https://www.tiktok.com/@Jamiya.Annour/video/7300000000000000001": ("tiktok", "jamiya.annour"),
    "https://www.tiktok.com/@jamiya.annour/photo/7300000000000000001?lang=fr": (
        "tiktok",
        "jamiya.annour",
    ),
    "https://m.tiktok.com/v/7300000000000000001.html": ("tiktok", None),
}
NOBODY = {
    "https://t.me/": ("telegram", LinkKind.HOME),
    "https://t.me/share/url?text=annour": ("telegram", LinkKind.SHARE),
    "https://t.me/addstickers/annour": ("telegram", LinkKind.INVALID),
    "https://t.me/proxy?server=annour.example": ("telegram", LinkKind.INVALID),
    "https://t.me/iv?rhash=1": ("telegram", LinkKind.INVALID),
    "https://t.me/joinchat": ("telegram", LinkKind.INVALID),
    "https://t.me/s/": ("telegram", LinkKind.INVALID),
    "https://t.me/1annour": ("telegram", LinkKind.INVALID),
    "https://t.me/annour_": ("telegram", LinkKind.INVALID),
    "https://t.me/an-nour": ("telegram", LinkKind.INVALID),
    "https://t.me/a23456789012345678901234567890123": ("telegram", LinkKind.INVALID),
    "https://t.me/+212600000000": ("telegram", LinkKind.INVALID),
    "https://www.tiktok.com/": ("tiktok", LinkKind.HOME),
    "https://www.tiktok.com/foryou": ("tiktok", LinkKind.HOME),
    "https://www.tiktok.com/tag/annour": ("tiktok", LinkKind.SEARCH),
    "https://www.tiktok.com/jamiya.annour": ("tiktok", LinkKind.INVALID),
    "https://www.tiktok.com/@annour./live": ("tiktok", LinkKind.INVALID),
    "https://www.tiktok.com/@a": ("tiktok", LinkKind.INVALID),
    "https://www.tiktok.com/@an-nour": ("tiktok", LinkKind.INVALID),
    "https://www.tiktok.com/login": ("tiktok", LinkKind.INVALID),
    "https://ads.tiktok.com/@annour": ("tiktok", LinkKind.INVALID),
    "https://vm.tiktok.com/ZMabc/": ("tiktok", LinkKind.SHORT_LINK),
    "https://vt.tiktok.com/ZMabc/": ("tiktok", LinkKind.SHORT_LINK),
    "https://www.tiktok.com/t/ZMabc/": ("tiktok", LinkKind.SHORT_LINK),
    "https://www.instagram.com/": ("instagram", LinkKind.HOME),
    "https://www.instagram.com/an-nour": ("instagram", LinkKind.INVALID),
    "https://www.instagram.com/annour..rabat/": ("instagram", LinkKind.INVALID),
    "https://www.instagram.com/annour./": ("instagram", LinkKind.INVALID),
    "https://www.instagram.com/p/": ("instagram", LinkKind.INVALID),
    "https://www.instagram.com/your_activity/interactions/likes/": ("instagram", LinkKind.INVALID),
    "https://www.instagram.com/share/annour": ("instagram", LinkKind.INVALID),
    "https://www.instagram.com/explore/locations/96519118/": ("instagram", LinkKind.SEARCH),
    "https://help.instagram.com/annour": ("instagram", LinkKind.INVALID),
}


@pytest.mark.parametrize("typed", ACCOUNTS)
def test_link_identifies_its_account(typed):
    identity = identify.identify_link(typed)
    assert (identity.kind, (identity.channel, identity.key)) == (LinkKind.PROFILE, ACCOUNTS[typed])


@pytest.mark.parametrize("typed", POSTS)
def test_post_belongs_to_the_owner_in_its_link(typed):
    identity = identify.identify_link(typed)
    assert (identity.kind, (identity.channel, identity.key)) == (LinkKind.POST, POSTS[typed])


@pytest.mark.parametrize("typed", NOBODY)
def test_link_without_account_has_no_key(typed):
    identity = identify.identify_link(typed)
    assert ((identity.channel, identity.kind), identity.key) == (NOBODY[typed], None)


@pytest.mark.parametrize(
    "typed", ["https://t.me/+AbCdEfGhIjKlMnOp", "t.me/joinchat/AbCdEfGhIjKlMnOp"]
)
def test_both_invite_forms_are_one_case_sensitive_group(typed):
    identity = identify.identify_link(typed)
    assert (identity.kind, identity.key) == (LinkKind.GROUP, "+AbCdEfGhIjKlMnOp")


@pytest.mark.parametrize(
    ("typed", "column", "key"),
    [
        ("@Jamiya_Annour", "telegram", "jamiya_annour"),
        ("tg://resolve?domain=jamiya_annour", "telegram", "jamiya_annour"),
        ("Telegram: @jamiya_annour", "telegram", "jamiya_annour"),
        ("@jamiya.annour", "instagram", "jamiya.annour"),
        ("Instagram : annour_rabat", None, "annour_rabat"),
        ("insta: @jamiya.annour", "website", "jamiya.annour"),
        ("@jamiya.annour (Instagram)", None, "jamiya.annour"),
        ("0612345678", "instagram", None),
        ("12", "instagram", None),
        ("@jamiya.annour", "tiktok", "jamiya.annour"),
        ("TikTok: @jamiya.annour", None, "jamiya.annour"),
    ],
)
def test_bare_name_is_identified_in_its_column_or_after_a_label(typed, column, key):
    assert identify.identify_link(typed, column).key == key


def test_short_link_is_resolved():
    def answer(request):
        if request.url == "https://vm.tiktok.com/ZMabc/":
            return Page("https://www.tiktok.com/@jamiya.annour?_t=x", 200, fetched_at=START)
        profile_json = (
            b'{"author_url": "https://www.tiktok.com/@jamiya.annour", "author_name": "Annour"}'
        )
        return Page(request.url, 200, {"content-type": "application/json"}, profile_json, START)

    typed = "https://vm.tiktok.com/ZMabc/"
    account = Account("annour", typed, identify.identify_link(typed))
    finding = run_offline(channel_registry.get_channel("tiktok").probe(account), answer).finding
    assert (finding.presence, finding.name) == (Presence.PRESENT, "Annour")


def test_oembed_of_another_account_proves_nothing():
    other_profile = (
        b'{"author_url": "https://www.tiktok.com/@somebody.else", "author_name": "Somebody"}'
    )
    typed = "https://www.tiktok.com/@jamiya.annour"
    account = Account("annour", typed, identify.identify_link(typed))
    result = run_offline(
        channel_registry.get_channel("tiktok").probe(account),
        lambda request: Page(request.url, 200, {}, other_profile, START),
    )
    assert result.finding.presence is Presence.UNKNOWN


def test_post_after_the_fetch_is_no_activity():
    bodies = {
        "https://t.me/annour": b'<div class="tgme_page_title"><span>Annour</span></div>',
        "https://t.me/s/annour": b'<time datetime="2031-01-01T00:00:00+00:00"></time><time '
        b'datetime="x">',
    }
    account = Account("annour", "", identify.identify_link("https://t.me/annour"))
    result = run_offline(
        channel_registry.get_channel("telegram").probe(account),
        lambda request: Page(
            request.url, 200, {"content-type": "text/html"}, bodies[request.url], START
        ),
    )
    assert (result.finding.presence, result.finding.last_activity) == (Presence.PRESENT, None)


# --- Off by default ---


@pytest.mark.parametrize("channel", OPTIONAL)
def test_optional_channel_is_known_and_not_audited(channel):
    assert channel in channel_registry.list_channels()
    assert channel not in load_config(None, {}).channels
    assert not any(channel in rule.channels for rule in load_config(None, {}).rules)
    assert {
        load_gap_catalogue().label("channel", channel, language) for language in ("ar", "fr", "en")
    }


def test_canaries_of_the_example_are_accounts():
    for channel in OPTIONAL:
        assert all(identify.identify_link(url).channel == channel for url in _canaries(channel))


def _canaries(channel):
    written = find_packaged_config().read_text(encoding="utf-8").splitlines()
    start = written.index(f"# [channels.{channel}]") + 1
    quoted = " ".join(written[start : start + 2]).split('"')[1::2]
    assert len(quoted) == 3
    assert all(identify.identify_link(url).kind is LinkKind.PROFILE for url in quoted)
    return quoted


FOUND = (
    FoundLink("telegram", "jamiya", "https://t.me/jamiya", "anchor", "https://nour.example/"),
    FoundLink(
        "tiktok", "jamiya", "https://www.tiktok.com/@jamiya", "anchor", "https://nour.example/"
    ),
)
EVERYWHERE = TypeAdapter(tuple[AnyRule, ...]).validate_python(
    [
        {"code": "channel_unlisted", "check": "proposed"},
        {"code": "channel_not_linked", "check": "not_linked"},
        {"code": "channel_duplicate", "check": "duplicate"},
        {"code": "channel_shared", "check": "shared"},
        {"code": "channel_wrong_type", "check": "kind_is", "kinds": ["profile"]},
        {"code": "channel_dead", "check": "absent", "reasons": ["not_found"]},
        {"code": "channel_missing", "check": "undeclared", "channels": ["twitter"]},
    ]
)
"""Rules that name no channels, so look at all that are audited; the last names one that is not."""
SITE = registered("nour", "website", "nour")
TELEGRAM = [
    AccountRow("nour", typed, identify.identify_link(typed), "telegram")
    for typed in ("https://t.me/annour_rabat", "https://t.me/annour_amis")
]


def leading(account):
    """A probe for tests: every site leads to two accounts on channels that may not be audited."""
    page, _ = yield from request_page(account.identity.canonical, _length, is_registered_link=True)
    return present_finding(page, links=FOUND)


def _length(page):
    return len(page.body)


@pytest.fixture
def audit(tmp_path, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", leading)

    async def execute_runs(*channels):
        config = configured(("website", *channels)).model_copy(update={"rules": EVERYWHERE})
        app = opened(tmp_path, config)
        register(app, SITE, *TELEGRAM, replace(TELEGRAM[0], association="amal"))
        for day in range(8):
            await execute_run(app, night_of(day))
        overview = build_network_overview(app.store, app.config, night_of(7) + timedelta(hours=1))
        gaps = {(gap.code, gap.channel) for gap in app.store.list_gaps()}
        app.store.close()
        return app, overview, gaps

    return execute_runs


@pytest.mark.parametrize("channels", [("website",), ("website", "tiktok")])
def test_result_has_no_account_on_an_unaudited_channel(channels):
    page = Page("https://nour.example/", 200, fetched_at=START)
    looked = ProbeResult(present_finding(page, links=FOUND))
    checked = LinkCheck("nour.example", identify.identify_link("nour.example"), looked)
    links = keep_audited_channels(checked, channels).result.finding.links
    assert {link.channel for link in links} == {*channels} - {"website"}


async def test_unaudited_channel_is_not_requested_proposed_counted_or_a_gap(audit):
    app, overview, gaps = await audit()
    assert set(app.web.asked) == {SITE.typed_text}
    assert overview.find_association("nour").proposals == ()
    assert overview.find_association("nour").unchecked == ()
    assert [coverage.channel for coverage in overview.coverage] == ["website"]
    assert {channel for _, channel in gaps} <= {"website"}


async def test_audited_telegram_is_requested_proposed_and_counted(audit):
    app, overview, gaps = await audit("telegram")
    assert {row.typed_text for row in TELEGRAM} <= set(app.web.asked)
    assert {row.link.channel for row in overview.find_association("nour").proposals} == {"telegram"}
    assert [coverage.channel for coverage in overview.coverage] == ["website", "telegram"]
    assert {"channel_unlisted", "channel_not_linked", "channel_duplicate", "channel_shared"} <= {
        code for code, channel in gaps if channel == "telegram"
    }
