"""Optional channels: identification of links, and they stay apart from the survey's channels."""

import json
from dataclasses import asdict
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from auditor.checking import checker
from auditor.conclusions.network_view import build_network_overview
from auditor.config.schema import load_config
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.presentation.views.export import build_coverage_item
from auditor.rules.engine import is_gap_open, select_visible_gaps
from auditor.runs.run import execute_run
from probes.links import identify
from probes.links.channel_registry import STANDARD_CHANNELS, is_optional_channel, list_channel_names
from probes.models.finding import Finding, FoundLink, LinkKind, Presence, Reason
from probes.models.probe import absent_finding, present_finding, request_page
from storage.models.audit import AccountRow, Gap
from tests.support.mini_network import START, configured, night_of, opened, register
from tests.support.mini_network import link as registered

OPTIONAL = [*filter(is_optional_channel, list_channel_names())]

CODE = "0029VaAnnour7f3c9a51TZxQ"


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
SITE = registered("nour", "website", "nour")
TELEGRAM = [
    AccountRow("nour", typed, identify.identify_link(typed), "telegram")
    for typed in ("https://t.me/annour_rabat", "https://t.me/annour_amis")
]


def _length(page):
    return len(page.body)


# --- The survey's figures and the canaries ---


def survey_figures(app, now):
    """Return all figures of the survey's channels, as bytes."""
    overview = build_network_overview(app.store, app.config, now)
    figures = {
        "coverage": [
            build_coverage_item(figures)
            for figures in overview.channels
            if not is_optional_channel(figures.channel)
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


@pytest.mark.slow
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


@pytest.mark.slow
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
