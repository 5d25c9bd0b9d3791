"""HTML report, static site and terminal report: contents, order, languages and escaping."""

import gzip
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from posixpath import join, normpath

import pytest

from auditor.conclusions.association_view import AccountView, AssociationView, UncheckedItem
from auditor.conclusions.network_view import NetworkOverview
from auditor.conclusions.summary import ChannelFigures
from auditor.config.schema import Config, SurveySettings
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import LANGUAGES
from auditor.core.rendering.templates import WebAppLinks, build_report_file_name
from auditor.presentation.reports import html, text
from auditor.presentation.reports.html import build_report_csp
from auditor.presentation.reports.text import (
    MAX_DETAILED_GAPS,
    describe_level_rise,
    list_current_strengths,
    list_strengths,
)
from auditor.rules.context import DomainExpiry
from auditor.rules.score import compute_score
from probes.models.finding import Activity, DatePrecision, FoundLink, LinkKind, Presence, Reason
from storage.models.audit import AccountState, Association, Decision, DecisionKind, Gap, Proposal
from storage.models.summaries import ChannelStatus
from storage.models.users import ReplyKind, ReplyOutcome
from storage.tables.communication import Reply

NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)
CONFIG = Config(survey=SurveySettings(figures={"facebook": 83.0}))
CHANNELS = ("website", "facebook", "twitter", "linkedin", "youtube")
PROPOSAL = Proposal(
    "nour",
    FoundLink(
        "youtube",
        "@amal",
        "https://www.youtube.com/@amal",
        "anchor",
        "https://nour.example/",
        "our videos",
    ),
    NOW,
    NOW,
    id=7,
)
CODES = (
    "website_down",
    "channel_stale",
    "channel_dead",
    "no_contact",
    "feed_missing",
    "website_slow",
)


def gap(code, channel="facebook", severity="high", **more):
    params = {"url": "https://nour.example/", "cause": "timeout", "since": "2026-11-20", **more}
    return Gap(
        "nour", channel, code, severity, NOW - timedelta(days=9), opened_at=NOW, params=params
    )


def account(channel="facebook", state=AccountState.PRESENT, **more):
    base = AccountView(
        account_id=1,
        channel=channel,
        column=channel,
        typed="nour",
        kind=LinkKind.PROFILE,
        key="u:nour",
        url="https://www.facebook.com/nour",
        state=state,
        since=NOW,
        reason=None,
        last_activity=Activity(NOW - timedelta(days=3), "feed", DatePrecision.DAY),
        activity_band="active",
        link_reciprocity="reciprocal",
        checked_at=NOW,
        decided_at=NOW,
        latest_presence=Presence.PRESENT,
        latest_reason=None,
    )
    return replace(base, **more)


def view(name="Nour", gaps=(), accounts=(), **more):
    base = AssociationView(
        association=Association("nour", name, name_ar="جمعية النور", region="Souss-Massa"),
        accounts=tuple(accounts),
        gaps=tuple(gaps),
        all_gaps=tuple(gaps),
        proposals=(),
        unchecked=(),
        score=compute_score({}),
    )
    return replace(base, **more)


def list_unclosed_tags(page):
    """Return the tags that are open at the end of a page, or where another one is closed."""
    unclosed = []
    for is_end, tag, is_empty in re.findall(r"<(/?)([a-z]\w*)[^>]*?(/?)>", page):
        if is_end and unclosed[-1:] == [tag]:
            unclosed.pop()
        elif not is_empty and tag not in {"meta", "br", "link", "rect", "line", "wbr"}:
            unclosed.append(tag)
    return unclosed


COUNTS = Counter(dict.fromkeys(ChannelStatus, 0) | {"present": 2, "unknown": 1, "none": 1})


def render_site(*views, survey=83.0):
    """Return the pages of the static site by name."""
    overview = NetworkOverview(
        as_of=NOW,
        since=None,
        run=None,
        counts={},
        associations=views,
        channels=(ChannelFigures("facebook", COUNTS, survey=survey),),
        opened_gaps=tuple(row for association_view in views for row in association_view.gaps),
        closed_gaps=(),
        unknown_counts={("facebook", Reason.LOGIN_WALL): 1},
    )
    return dict(html.render_site_pages(overview, CONFIG))


def test_site_has_a_well_formed_page_without_scripts_per_association_and_language():
    pages = render_site(view(gaps=map(gap, CODES), accounts=[account()]))
    names = [f"{code}/{name}" for code in LANGUAGES for name in ("index.html", "nour.html")]
    assert set(pages) == {"index.html", *names}
    for name, page in pages.items():
        assert list_unclosed_tags(page) == [], name
        assert '<html lang="' in page
        assert "{" not in page.partition("</head>")[2], name
        assert not re.search("<script|src=", page), name
        loaded = re.findall(r'<link rel="(?!alternate)[^"]*" href="([^"]*)"', page)
        assert {href.removeprefix("../") for href in loaded} <= {"data:,", *html.STYLE_SHEETS}
    assert 'dir="rtl"' in pages["ar/nour.html"]


def test_network_without_a_survey_has_no_column_and_no_sentence_about_it():
    assert "Survey" in render_site()["en/index.html"]
    page = render_site(survey=None)["en/index.html"]
    assert "survey" not in page.partition("<main")[2].lower()


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_report_describes_five_gaps_in_full_and_lists_the_others(step):
    gaps = [gap(code) for code in CODES[: MAX_DETAILED_GAPS + step]]
    page = render_site(view(gaps=gaps))["fr/nour.html"]
    assert page.count('class="steps"') == min(len(gaps), MAX_DETAILED_GAPS)
    assert ("lent à s’ouvrir" in page) is (step > 0)


RHYTHMS = {
    "en": "from the videos shown · posts about every <bdi>9 days</bdi>",
    "fr": "environ <bdi>9\u00a0jours</bdi> entre deux publications",
    "ar": "حسب الفيديوهات المعروضة · <bdi>9 أيام</bdi> تقريبًا بين منشور وآخر",
}


@pytest.mark.parametrize("activity", ["active", "inactive", "dormant", "unknown"])
def test_latest_post_shows_its_source_and_the_rhythm_of_an_active_account(activity):
    post = Activity(NOW - timedelta(days=21), "videos", DatePrecision.WEEK)
    shown = account(last_activity=post, rhythm_days=9, activity_band=activity)
    pages = render_site(view(accounts=[shown]))
    for language, expected in RHYTHMS.items():
        assert (expected in pages[f"{language}/nour.html"]) is (activity == "active")


@pytest.mark.parametrize(
    ("reciprocity", "label"),
    [
        ("reciprocal", "website and account link to each other"),
        ("site_only", "the website links to the account"),
        ("profile_only", "the account links to the website"),
        ("contradicted", "the website or the account links elsewhere"),
    ],
)
def test_link_reciprocity_is_shown_for_each_account(reciprocity, label):
    association_view = view(accounts=[account(link_reciprocity=reciprocity)])
    assert f"Links: {label}" in render_site(association_view)["en/nour.html"]
    assert f"Links: {label}" in text.format_association_report(association_view, NOW, "en")


def test_plain_text_report_lists_accounts():
    gone = account(state=AccountState.GONE, reason=Reason.NOT_FOUND, last_activity=None)
    accounts = [account(rhythm_days=1), replace(gone, activity_band="unknown")]
    output = text.format_association_report(view(accounts=accounts), NOW, "en")
    day = "22 November 2026 (active) · from its news feed · posts about every day"
    first, second = output.split(f"    Latest post: {day}\n")
    assert "  - Facebook: present · https://www.facebook.com/nour\n" in first
    assert "  - Facebook: broken (page not found) · https://www" in second
    assert "Latest post: not known" in second


def report(association_view, language="en", **more):
    """Return the HTML of a report as the web application serves it."""
    link = WebAppLinks(language, "/report", has_network_pages=False)
    forms = html.ReportForms(
        replies=more.pop("replies", ()),
        completed_steps=(),
        notice=more.pop("notice", None),
        expires_at=NOW + timedelta(days=90),
    )
    options = {"forms": forms, **more}
    return html.render_report(association_view, CONFIG, NOW, link, language, **options)


def build_reply(kind, **fields):
    return Reply(association="nour", kind=kind, submitted_at=NOW, **fields)


def test_full_report_is_one_file_below_ten_kilobytes_compressed():
    replies = [build_reply(ReplyKind.DISPUTED, channel="facebook", code=code) for code in CODES]
    refused = {"cause": "login_wall"}
    full = view(
        gaps=map(gap, CODES),
        accounts=[account(channel, account_id=number) for number, channel in enumerate(CHANNELS)],
        proposals=(PROPOSAL,),
        unchecked=[UncheckedItem(channel, "channel_unknown", refused) for channel in CHANNELS],
    )
    sent = html.ReportNotice(at="account-1", done="sent")
    url = "https://r.example/r/" + "x" * 43
    for language in LANGUAGES:
        page = report(full, language, replies=replies, notice=sent, report_url=url)
        assert len(gzip.compress(page.encode())) < 10_000
        assert not re.search(r'(src|rel="stylesheet")=|url\(', page)


def test_content_security_policy_allows_only_the_inline_style():
    policy = build_report_csp(report(view()))
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy == build_report_csp(report(view("Another", accounts=[account()]), "ar"))


ANSWERED = view(
    gaps=[gap("channel_stale")],
    accounts=[
        account(
            "website",
            domain_expiry=DomainExpiry("nour.example"),
            latest_presence=Presence.UNKNOWN,
            latest_reason=Reason.BLOCKED,
        )
    ],
    proposals=(PROPOSAL,),
)


def test_only_interactive_report_has_reply_forms():
    assert "<form" not in report(ANSWERED, forms=None)
    page = report(ANSWERED, "fr")
    form_counts = Counter(re.findall(r'<form[^>]*action="/fr/report/(\w+)"', page))
    assert (page.count("<form"), {*form_counts}) == (form_counts.total(), {"replies", "steps"})
    kinds = set(re.findall(r'name="kind" value="(\w+)"', page))
    assert kinds == {kind.value for kind in ReplyKind}
    fields = set(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    subjects = {("account_id", "1"), ("gap_code", "channel_stale"), ("proposal_id", "7")}
    assert subjects | {("value", "@amal")} <= fields


MOVED = {"value": "https://x.example/<b>", "outcome": ReplyOutcome.ACCEPTED}
OURS = {"value": "@amal", "outcome": ReplyOutcome.DECLINED, "review_reason": "It is."}


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (
            build_reply(
                ReplyKind.PROMISED, channel="facebook", code="channel_stale", value="2026-12-24"
            ),
            "you told us: we will do it by 24 December 2026.",
        ),
        (
            build_reply(ReplyKind.MOVED, account_id=1, **MOVED),
            "its address is x.example/&lt;b&gt;.\nThe coordination team agrees.",
        ),
        (
            build_reply(ReplyKind.DISOWNED, channel="youtube", **OURS),
            "this isn’t ours.\nThe coordination team did not accept this: It is.",
        ),
    ],
)
def test_reply_is_shown_at_its_subject_with_outcome(reply, shown):
    page = re.sub(r"</?bdi[^>]*>|<wbr>", "", report(ANSWERED, replies=[reply]))
    assert (shown in page, page.count('class="sent"')) == (True, 1)


def test_report_names_recently_fixed_and_new_gaps():
    fixed = replace(gap("website_slow"), closed_at=NOW - timedelta(days=2))
    old = replace(gap("no_contact"), opened_at=NOW - timedelta(days=90))
    page = report(view(gaps=[old, gap("channel_stale")], all_gaps=(fixed,)))
    news, _, rest = page.partition('id="gap-')
    assert ("The website opens faster" in news, "Better since" in rest) == (True, False)
    new = rest.partition("New in the last 30 days")[2]
    assert ("Nothing has been posted on your Facebook page" in new, "Visitors" in new) == (
        True,
        False,
    )


def test_what_improved_since_the_last_visit_comes_first():
    fixed = replace(gap("website_slow"), closed_at=NOW - timedelta(days=50))
    for days, is_shown in ((1, False), (60, True)):
        forms = html.ReportForms(news_since=NOW - timedelta(days=days))
        links = WebAppLinks("en", "/report", has_network_pages=False)
        page = html.render_report(view(all_gaps=(fixed,)), CONFIG, NOW, links, "en", forms=forms)
        assert ("The website opens faster" in page) is is_shown
        assert ("Nour online, better since 26 September 2026:\n✓ " in page) is is_shown


@pytest.mark.parametrize(
    ("before", "now", "levels"),
    [
        ("basic", "good", ["Basic presence", "Good presence"]),
        ("good", "basic", []),
        ("good", "good", []),
        ("no_data", "good", []),
        ("", "good", []),
    ],
)
def test_level_is_news_only_if_it_has_risen(before, now, levels):
    rise = describe_level_rise(before, now, Translator("en"))
    assert [level for _, level in rise] == levels


def test_missing_account_is_asked_for_before_the_steps():
    page = report(view(gaps=[gap("channel_missing", "youtube", "low")]))
    parts = ("We already have one", "We don’t want one", "We will create one")
    places = [page.index(part) for part in (*parts, 'class="ticks"', "Reply to this")]
    assert places == sorted(places)


def test_report_with_url_has_a_qr_code():
    assert "<svg" not in report(view())
    page = report(view(), report_url="https://reports.example/r/abc")
    assert page.count("<svg") == 1
    assert '<a href="https://reports.example/r/abc" rel="nofollow noreferrer">' in page
    assert "reports.example/<wbr>r/<wbr>abc</a></bdi>" in page


def test_hostile_name_and_address_are_escaped():
    name = '<script>alert("x")</script> & \u202eevil'
    accounts = [account(url="javascript:alert(1)")]
    gaps = [gap("website_down", url='"><b>x')]
    page = render_site(view(name, gaps, accounts))["en/nour.html"]
    assert re.findall('<script|<b>|href="javascript', page) == []


@pytest.mark.parametrize("association_id", ["../etc", "index", "جمعية", "a/b", ""])
def test_unsafe_id_gets_a_safe_file_name(association_id):
    name = build_report_file_name(association_id)
    assert (name.removesuffix(".html").isalnum(), name == "index.html") == (True, False)


def test_website_is_a_strength_if_present_without_serious_gap():
    low, high = gap("feed_missing", "website", "low"), gap("website_down", "website", "high")
    for presence, gaps, is_strength in (
        (Presence.PRESENT, [], True),
        (Presence.PRESENT, [low], True),
        (Presence.PRESENT, [high], False),
        (Presence.UNKNOWN, [], False),
    ):
        website = account("website", latest_presence=presence)
        strengths = list_current_strengths(view(accounts=[website], gaps=gaps))
        assert ("website_ok" in [strength.label for strength in strengths]) is is_strength


def test_gap_names_its_account_if_the_channel_has_several():
    old = account(account_id=2, key="u:old", url="https://www.facebook.com/old")
    stale = replace(gap("channel_stale"), subject="u:old")
    two_accounts = view(accounts=[account(), old], gaps=[stale])
    assert two_accounts.distinguishing_url(gap("channel_missing")) == ""
    assert view(accounts=[old], gaps=[stale]).distinguishing_url(stale) == ""
    page = html.render_report(two_accounts, CONFIG, NOW, WebAppLinks("en"), "en")
    first_article = page.partition("<article")[2].partition("</article>")[0]
    assert 'href="https://www.facebook.com/old"' in first_article


STALE, QUIET = gap("channel_stale"), account(activity_band="slow", link_reciprocity="site_only")
FIXED = (replace(STALE, opened_at=NOW - timedelta(days=9), closed_at=NOW - timedelta(days=2)),)
CONFIRMED = Decision(
    "nour", "facebook", DecisionKind.CONFIRM, "Amina", "seen", NOW - timedelta(days=3)
)


@pytest.mark.parametrize(
    ("association_view", "labels"),
    [
        (
            view(accounts=[account()], all_gaps=FIXED),
            ["channel_active", "channel_linked", "gap_fixed"],
        ),
        (view(gaps=[STALE], all_gaps=FIXED), []),
        (
            view(all_gaps=FIXED, decisions=(replace(CONFIRMED, kind=DecisionKind.NONE_BY_CHOICE),)),
            [],
        ),
        (view(all_gaps=FIXED, decisions=(CONFIRMED,)), []),
        (view(all_gaps=FIXED, decisions=(replace(CONFIRMED, decided_at=NOW),)), ["gap_fixed"]),
        (view(all_gaps=FIXED, decisions=(replace(CONFIRMED, account_id=9),)), ["gap_fixed"]),
        (
            view(all_gaps=FIXED, decisions=(replace(CONFIRMED, kind=DecisionKind.CLAIM),)),
            ["gap_fixed"],
        ),
        (view(all_gaps=(replace(FIXED[0], subject="u:old"),)), []),
        (view(accounts=[QUIET]), ["no_gap"]),
        (view(), []),
        (view(accounts=[account(state=AccountState.UNKNOWN, decided_at=None)]), []),
    ],
    ids=[
        "fixed",
        "reopened",
        "by choice",
        "decided",
        "decided after the fix",
        "decided about another account",
        "added",
        "not registered",
        "no gap",
        "no account",
        "unchecked",
    ],
)
def test_strengths_end_with_recently_fixed_gaps(association_view, labels):
    assert [strength.label for strength in list_strengths(association_view, NOW)] == labels


TODAY = NOW.date()
BY_REGISTRY = "according to the domain registry on 25 November 2026"


@pytest.mark.parametrize(
    ("expiry", "expected"),
    [
        (
            DomainExpiry("nour.example", "registry", TODAY, known_at=NOW),
            f"expires on 25 November 2026 · {BY_REGISTRY}",
        ),
        (
            DomainExpiry("nour.example", "stated", TODAY, has_expired=True, known_at=NOW),
            "expired on 25 November 2026 · stated on 25 November 2026",
        ),
        (
            DomainExpiry("nour.example", "registry", status="client_hold", known_at=NOW),
            f"switched off by the registrar · {BY_REGISTRY}",
        ),
        (
            DomainExpiry("nour.example", "registry", cause="not_registered", known_at=NOW),
            f"the domain registry does not know this name · {BY_REGISTRY}",
        ),
        (
            DomainExpiry("nour.example", cause="no_service"),
            "couldn’t be checked: the registry of this domain publishes no dates",
        ),
    ],
)
def test_terminal_report_says_when_a_domain_expires(expiry, expected):
    association_view = view(accounts=[account("website", domain_expiry=expiry)])
    terminal_report = text.format_association_report(association_view, NOW, "en")
    assert f"Domain name: nour.example · {expected}" in terminal_report.splitlines()[-1]


def test_published_pages_link_only_to_published_files():
    folder = {
        **render_site(view(gaps=map(gap, CODES), accounts=[account()])),
        **dict.fromkeys(html.STYLE_SHEETS),
    }
    for name, page in folder.items():
        for href in re.findall(r'href="([^"#]+)["#]', page or ""):
            if ":" not in href:
                assert normpath(join(name, "..", href)) in folder, (name, href)


def test_translated_url_keeps_path_and_query():
    link = WebAppLinks("ar", "/gaps?channel=facebook&page=2")
    assert link.translated_url("fr") == "/fr/gaps?channel=facebook&page=2"
    assert (link.section, link.page_url("gaps"), link.page_url()) == ("gaps", "/ar/gaps", "/ar/")
    assert link.association_url("a/b ?") == "/ar/associations/a%2Fb%20%3F"
