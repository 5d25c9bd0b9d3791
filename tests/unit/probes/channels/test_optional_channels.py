"""Optional channels: identification of links, and they stay apart from the survey's channels."""

import json
from dataclasses import asdict, replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from pydantic import TypeAdapter

from auditor.checking import checker
from auditor.checking.checker import LinkCheck
from auditor.cli.check import keep_audited_channels
from auditor.conclusions.network_view import build_network_overview
from auditor.config.schema import load_config
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.presentation.views.export import build_coverage_item
from auditor.rules.engine import AnyRule, is_gap_open, select_visible_gaps
from auditor.runs.run import execute_run
from probes.links import channel_registry, identify
from probes.links.channel_registry import STANDARD_CHANNELS, is_optional_channel
from probes.models.finding import Account, Finding, FoundLink, LinkKind, Presence, Reason
from probes.models.http import Page
from probes.models.probe import (
    ProbeResult,
    absent_finding,
    present_finding,
    request_page,
    run_offline,
)
from storage.models.audit import AccountRow, Gap
from tests.support.mini_network import START, configured, night_of, opened, register
from tests.support.mini_network import link as registered

OPTIONAL = ("instagram", "tiktok", "whatsapp", "telegram")

CODE = "0029VaAnnour7f3c9a51TZxQ"
ACCOUNTS = {
    "https://t.me/Jamiya_Annour": ("telegram", "jamiya_annour"),
    "t.me/jamiya_annour?start=x": ("telegram", "jamiya_annour"),
    "https://t.me/s/Jamiya_Annour": ("telegram", "jamiya_annour"),
    "https://telegram.me/jamiya_annour": ("telegram", "jamiya_annour"),
    "https://telegram.dog/jamiya_annour": ("telegram", "jamiya_annour"),
    "https://tx.me/jamiya_annour": ("telegram", "jamiya_annour"),
    "https://telesco.pe/jamiya_annour": ("telegram", "jamiya_annour"),
    "https://t.me/boost/jamiya_annour": ("telegram", "jamiya_annour"),
    "https://web.telegram.org/k/#@Jamiya_Annour": ("telegram", "jamiya_annour"),
    "web.telegram.org/a/#@jamiya_annour": ("telegram", "jamiya_annour"),
    "https://web.telegram.org/#/im?p=@jamiya_annour": ("telegram", "jamiya_annour"),
    "https://www.tiktok.com/@Jamiya.Annour": ("tiktok", "jamiya.annour"),
    "https://www.tiktok.com/fr/@jamiya.annour": ("tiktok", "jamiya.annour"),
    "https://www.tiktok.com/ar-MA/@jamiya.annour": ("tiktok", "jamiya.annour"),
    "https://us.tiktok.com/@jamiya.annour": ("tiktok", "jamiya.annour"),
    "https://lite.tiktok.com/@jamiya.annour": ("tiktok", "jamiya.annour"),
    "https://www.tiktok.com/@jamiya.annour?_t=8x&_r=1&lang=ar": ("tiktok", "jamiya.annour"),
    "https://m.tiktok.com/@jamiya_annour/": ("tiktok", "jamiya_annour"),
    "tiktok.com/@jamiya.annour/live": ("tiktok", "jamiya.annour"),
    "https://www.instagram.com/Jamiya.Annour/?igsh=x&hl=fr": ("instagram", "jamiya.annour"),
    "http://instagr.am/Annour_Rabat": ("instagram", "annour_rabat"),
    "m.instagram.com/annour_rabat/tagged/": ("instagram", "annour_rabat"),
    "instagram.com/@annour_rabat": ("instagram", "annour_rabat"),
    "https://www.instagram.com/fr/annour_rabat/": ("instagram", "annour_rabat"),
    "https://www.instagram.com/ar/annour_rabat": ("instagram", "annour_rabat"),
    "https://www.instagram.com/fr/": ("instagram", "fr"),
    "https://www.instagram.com/fr/tagged/": ("instagram", "fr"),
    "https://www.instagram.com/_u/annour_rabat": ("instagram", "annour_rabat"),
    "instagram.com/_n/annour_rabat/": ("instagram", "annour_rabat"),
    "https://www.instagram.com/challenge/?next=/annour_rabat/": ("instagram", "annour_rabat"),
    "https://www.instagram.com/audio/": ("instagram", "audio"),
    "https://www.tiktok.com/@@jamiya.annour": ("tiktok", "jamiya.annour"),
    "https://www.tiktok.com/oembed?url=https://www.tiktok.com/@jamiya.annour": (
        "tiktok",
        "jamiya.annour",
    ),
    "https://webk.telegram.org/#@jamiya_annour": ("telegram", "jamiya_annour"),
    "https://fr-fr.instagram.com/annour_rabat": ("instagram", "annour_rabat"),
    "https://ar.instagram.com/annour_rabat": ("instagram", "annour_rabat"),
    "https://www.instagram.com/accounts/login/?next=/annour_rabat/": ("instagram", "annour_rabat"),
    "https://ig.me/m/annour_rabat": ("instagram", "annour_rabat"),
    "https://www.tiktok.com/embed/@jamiya.annour": ("tiktok", "jamiya.annour"),
    "https://whatsapp.com/channel/0029VaAnnour7f3c9a51TZxQ": ("whatsapp", CODE),
    "https://www.whatsapp.com/channel/0029VaAnnour7f3c9a51TZxQ/?lang=fr": ("whatsapp", CODE),
    "whatsapp.com/channel/0029VaAnnour7f3c9a51TZxQ?fbclid=x": ("whatsapp", CODE),
    "https://wa.me/channel/0029VaAnnour7f3c9a51TZxQ": ("whatsapp", CODE),
    "https://whatsapp.com/fr/channel/0029VaAnnour7f3c9a51TZxQ": ("whatsapp", CODE),
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
    "https://www.instagram.com/share/reel/BAannour_1": ("instagram", None),
    "https://t.me/Jamiya_Annour/42": ("telegram", "jamiya_annour"),
    "https://t.me/s/jamiya_annour/42": ("telegram", "jamiya_annour"),
    "https://t.me/jamiya_annour/s/3": ("telegram", "jamiya_annour"),
    "https://t.me/c/1234567890/12": ("telegram", None),
    "https://telesco.pe/jamiya_annour/42": ("telegram", "jamiya_annour"),
    "https://www.tiktok.com/@Jamiya.Annour/video/7300000000000000001": ("tiktok", "jamiya.annour"),
    "https://www.tiktok.com/@jamiya.annour/photo/7300000000000000001?lang=fr": (
        "tiktok",
        "jamiya.annour",
    ),
    "https://m.tiktok.com/v/7300000000000000001.html": ("tiktok", None),
    "https://whatsapp.com/channel/0029VaAnnour7f3c9a51TZxQ/214": ("whatsapp", CODE),
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
    "https://t.me/call/annour": ("telegram", LinkKind.INVALID),
    "https://t.me/boost": ("telegram", LinkKind.INVALID),
    "https://t.me/boost?c=1234567890": ("telegram", LinkKind.INVALID),
    "https://web.telegram.org/k/#-1001234567890": ("telegram", LinkKind.INVALID),
    "https://www.tiktok.com/": ("tiktok", LinkKind.HOME),
    "https://www.tiktok.com/fr/": ("tiktok", LinkKind.INVALID),
    "https://lite.tiktok.com/t/ZMabc/": ("tiktok", LinkKind.SHORT_LINK),
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
    "https://www.instagram.com/popular/annour-rabat/": ("instagram", LinkKind.SEARCH),
    "https://www.instagram.com/topics/": ("instagram", LinkKind.SEARCH),
    "https://www.instagram.com/_u/": ("instagram", LinkKind.INVALID),
    "https://www.instagram.com/channel/AbaBcdEfGh/": ("instagram", LinkKind.INVALID),
    **{
        f"https://www.instagram.com/{path}": ("instagram", LinkKind.INVALID)
        for path in ("help", "blog", "nametag", "invites/contact/?i=1", "lite", "download")
    },
    **{
        f"https://www.instagram.com/{path}": ("instagram", LinkKind.INVALID)
        for path in ("audio/1234/", "ar/1234/", "j/AbaBcdEfGh/", "_n/mainfeed", "consent/?flow=x")
    },
    "https://www.instagram.com/share/BAannour_1": ("instagram", LinkKind.SHORT_LINK),
    "https://www.instagram.com/instagram.com": ("instagram", LinkKind.HOME),
    "https://www.instagram.com/share/reel/": ("instagram", LinkKind.INVALID),
    "https://www.instagram.com/embed.js": ("instagram", LinkKind.INVALID),
    "https://www.whatsapp.com/": ("whatsapp", LinkKind.HOME),
    "https://wa.me/": ("whatsapp", LinkKind.HOME),
    "https://wa.me/?text=annour": ("whatsapp", LinkKind.SHARE),
    "https://api.whatsapp.com/send?text=annour": ("whatsapp", LinkKind.SHARE),
    "https://www.whatsapp.com/download": ("whatsapp", LinkKind.INVALID),
    "https://www.whatsapp.com/channel/annour": ("whatsapp", LinkKind.INVALID),
    "https://faq.whatsapp.com/1234": ("whatsapp", LinkKind.INVALID),
    "https://chat.whatsapp.com/AnnourAbCdEfGhIjKlMnOp": ("whatsapp", LinkKind.GROUP),
    "https://chat.whatsapp.com/invite/AnnourAbCdEfGhIjKlMnOp": ("whatsapp", LinkKind.GROUP),
}
PHONES = (
    "https://wa.me/212600000102",
    "wa.me/+212600000102",
    "https://wa.me/212600000102?text=Salam",
    "https://api.whatsapp.com/send?phone=212600000102",
    "https://api.whatsapp.com/send/?phone=%2B212600000102&text=Salam",
    "https://web.whatsapp.com/send?phone=212600000102",
    "https://wa.me/message/ANNOUR7F3C9A51",
    "https://wa.me/c/212600000102",
    "https://wa.me/qr/ANNOUR7F3C9A51",
    "https://wa.link/annour",
    "WhatsApp: 0600000102",
    "WhatsApp : +212 6 00 00 01 02",
    "واتساب: 0600000102",
)


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


@pytest.mark.parametrize("column", [None, "whatsapp"])
@pytest.mark.parametrize("typed", PHONES)
def test_phone_link_is_no_channel(typed, column):
    identity = identify.identify_link(typed, column)
    assert (identity.channel, identity.kind, identity.key) == ("whatsapp", LinkKind.PHONE, None)
    account = Account("annour", typed, identity)
    result = run_offline(channel_registry.get_channel("whatsapp").probe(account), never_respond)
    assert (result.finding.presence, result.exchanges) == (Presence.UNKNOWN, ())
    assert identity.canonical == "https://wa.me/"


def never_respond(request):
    raise AssertionError(f"requested {request.url}")


@pytest.mark.parametrize("typed", ["0600000102", "+212 6 00 00 01 02", "06.00.00.01.02"])
def test_phone_number_in_the_whatsapp_column_is_no_channel(typed):
    assert identify.identify_link(typed, "whatsapp").kind is LinkKind.PHONE


@pytest.mark.parametrize("column", ["facebook", "instagram"])
def test_phone_link_in_the_column_of_another_network_is_an_error(column):
    identity = identify.identify_link("https://wa.me/212600000102", column)
    assert (identity.channel, identity.kind) == (column, LinkKind.INVALID)


@pytest.mark.parametrize(
    "typed", ["https://t.me/+AbCdEfGhIjKlMnOp", "t.me/joinchat/AbCdEfGhIjKlMnOp"]
)
def test_all_invite_forms_are_one_case_sensitive_group(typed):
    identity = identify.identify_link(typed)
    assert (identity.kind, identity.key) == (LinkKind.GROUP, "+AbCdEfGhIjKlMnOp")


@pytest.mark.parametrize(
    ("typed", "column", "key"),
    [
        ("@Jamiya_Annour", "telegram", "jamiya_annour"),
        ("Telegram: @jamiya_annour", "telegram", "jamiya_annour"),
        ("@jamiya.annour", "instagram", "jamiya.annour"),
        ("Instagram : annour_rabat", None, "annour_rabat"),
        ("insta: @jamiya.annour", "website", "jamiya.annour"),
        ("@jamiya.annour (Instagram)", None, "jamiya.annour"),
        ("0612345678", "instagram", None),
        ("12", "instagram", None),
        ("@jamiya.annour", "tiktok", "jamiya.annour"),
        (CODE, "whatsapp", CODE),
        (f"channel/{CODE}", "whatsapp", CODE),
        ("Annour", "whatsapp", None),
        ("إنستغرام: @jamiya.annour", None, "jamiya.annour"),
        ("تيك توك: @jamiya.annour", None, "jamiya.annour"),
        ("تيليغرام: @jamiya_annour", None, "jamiya_annour"),
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


# --- On by default, apart from the survey's channels ---


@pytest.mark.parametrize("channel", OPTIONAL)
def test_optional_channel_is_audited_with_canaries_and_never_missing(channel):
    config = load_config(None, {})
    settings = config.channels[channel]
    assert settings.canaries
    assert settings.impossible_account
    for link in (*settings.canaries, settings.impossible_account):
        identity = identify.identify_link(link, channel)
        assert (identity.channel, identity.kind) == (channel, LinkKind.PROFILE)
    rules = [rule for rule in config.rules if channel in rule.channels]
    assert {rule.code for rule in rules} >= {"channel_unlisted", "channel_dead", "wrong_target"}
    assert "channel_missing" not in {rule.code for rule in rules}
    assert channel not in config.survey.figures
    names = {
        load_gap_catalogue().label("channel", channel, language) for language in ("ar", "fr", "en")
    }
    assert channel not in names


@pytest.mark.parametrize("channel", OPTIONAL)
def test_every_gap_of_an_optional_channel_has_the_lowest_severity(channel):
    catalogue = load_gap_catalogue()
    severities = [
        definition.get_severity(channel)
        for definition in catalogue.definitions.values()
        if definition.is_gap
    ]
    assert set(severities) == {"low"}


def test_gaps_of_optional_channels_come_last():
    gaps = [
        Gap("nour", channel, code, "low", START, opened_at=START, subject="x")
        for code, channel in (
            ("channel_unlisted", "tiktok"),
            ("channel_duplicate", "facebook"),
            ("link_malformed", "instagram"),
            ("website_slow", "website"),
        )
    ]
    visible = select_visible_gaps(gaps, load_gap_catalogue())
    assert [gap.channel for gap in visible] == ["facebook", "website", "tiktok", "instagram"]


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
        gaps = {(gap.code, gap.channel) for gap in app.store.conclusions.list_gaps()}
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


# --- The survey's figures and the canaries ---


def survey_figures(app, now):
    """Return all figures of the survey's channels, as bytes."""
    overview = build_network_overview(app.store, app.config, now)
    figures = {
        "coverage": [
            build_coverage_item(coverage)
            for coverage in overview.coverage
            if not is_optional_channel(coverage.channel)
        ],
        "scores": [
            [view.association.id, *asdict(view.score).values()] for view in overview.associations
        ],
        "gaps": [
            [
                gap.association,
                gap.channel,
                gap.code,
                gap.severity,
                str(gap.opened_at),
                dict(gap.params),
            ]
            for gap in sorted(
                app.store.conclusions.list_gaps(),
                key=lambda gap: (gap.association, gap.code, gap.channel),
            )
            if not is_optional_channel(gap.channel)
        ],
    }
    return json.dumps(figures, sort_keys=True).encode()


def visit(account):
    """A probe for tests: sites lead to all accounts; the optional ones are gone."""
    if account.identity.key is None:
        return Finding(Presence.UNKNOWN, Reason.WRONG_TARGET)
    page, _ = yield from request_page(account.identity.canonical, _length, is_registered_link=True)
    if account.channel == "website":
        links = [
            FoundLink(identity.channel, identity.key, identity.canonical, "footer", page.url)
            for identity in map(identify.identify_link, MIXED_LINKS)
        ]
        return present_finding(page, links=(*links, *FOUND), facts={"https": True})
    if is_optional_channel(account.channel):
        return absent_finding(page, Reason.NOT_FOUND)
    return present_finding(page, name="Nour")


MIXED_LINKS = (
    "https://www.facebook.com/nour.rabat",
    "https://www.instagram.com/nour_rabat/",
    "https://www.tiktok.com/@nour.rabat",
    "https://t.me/nour_rabat",
    f"https://www.whatsapp.com/channel/{CODE}",
)


async def test_survey_figures_are_the_same_bytes_with_and_without_optional_channels(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(checker, "create_probe", visit)
    packaged = load_config(None, {})
    rows = [
        SITE,
        *(
            AccountRow("nour", typed, identity, identity.channel)
            for typed, identity in ((typed, identify.identify_link(typed)) for typed in MIXED_LINKS)
        ),
        AccountRow(
            "amal",
            "https://wa.me/212600000102",
            identify.identify_link("https://wa.me/212600000102"),
            "whatsapp",
        ),
    ]
    figures, gap_channels = [], []
    for name, channels in (("on", list(packaged.channels)), ("off", list(STANDARD_CHANNELS))):
        config = configured(channels).model_copy(update={"rules": packaged.rules})
        (tmp_path / name).mkdir()
        app = opened(tmp_path / name, config)
        register(app, *rows)
        for day in range(9):
            await execute_run(app, night_of(day))
        figures.append(survey_figures(app, night_of(8) + timedelta(hours=1)))
        gap_channels.append(
            {gap.channel for gap in app.store.conclusions.list_gaps() if is_gap_open(gap)}
        )
        app.store.close()
    assert figures[0] == figures[1]
    assert {"instagram", "tiktok", "whatsapp", "telegram"} <= gap_channels[0]
    assert not {"instagram", "tiktok", "whatsapp", "telegram"} & gap_channels[1]


async def test_channel_without_a_registered_account_makes_no_requests(tmp_path, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", visit)
    packaged = load_config(None, {})
    app = opened(
        tmp_path,
        configured(list(packaged.channels)).model_copy(update={"channels": packaged.channels}),
    )
    phone = "https://wa.me/212600000102"
    register(
        app, SITE, TELEGRAM[0], AccountRow("nour", phone, identify.identify_link(phone), "whatsapp")
    )
    report = (await execute_run(app, night_of(0))).report
    app.store.close()
    hosts = {urlsplit(url).hostname for url in app.web.asked}
    assert hosts == {
        "nour.example",
        "t.me",
        "www.iana.org",
        "www.un.org",
        "presence-auditor-canary.invalid",
    }
    assert {canary.channel for canary in report.canaries} == {"website", "telegram"}


STANDARD_LINKS = "".join(
    f'<a href="{url}"><i></i></a>'
    for url in (
        "https://www.facebook.com/nour.rabat",
        "https://x.com/nour_rabat",
        "https://www.linkedin.com/company/nour-rabat",
        "https://www.youtube.com/@nour-rabat",
    )
)


PROSE = f"<main><h1>Nour Rabat</h1><p>{'Nos ateliers de lecture reprennent. ' * 20}</p></main>"


@pytest.mark.parametrize(
    ("icons", "channels"),
    [
        (STANDARD_LINKS, {"facebook", "twitter", "linkedin", "youtube"}),
        ("", {"instagram", "whatsapp"}),
    ],
    ids=["complete", "nothing"],
)
def test_contact_page_is_read_for_standard_channels_only_but_all_its_accounts_count(
    icons, channels
):
    pages = {
        "/": f'<nav><a href="/contact">Contact</a></nav>{PROSE}<footer>{icons}</footer>',
        "/contact": '<p><a href="https://www.instagram.com/nour_rabat/">Instagram</a> '
        f'<a href="https://whatsapp.com/channel/{CODE}">WhatsApp</a></p>',
    }

    def respond(request):
        body = pages.get(urlsplit(request.url).path, "")
        markup = f"<html><head><title>Nour Rabat</title></head><body>{body}</body></html>"
        status = 200 if body else 404
        return Page(request.url, status, {"content-type": "text/html"}, markup.encode(), START)

    identity = identify.identify_link("https://nour-rabat.example/")
    account = Account("nour", identity.url or "", identity)
    result = run_offline(channel_registry.get_channel("website").probe(account), respond)
    assert {link.channel for link in result.finding.links} == channels
    was_requested = any(exchange.request.url.endswith("/contact") for exchange in result.exchanges)
    assert was_requested is not bool(icons)
