"""HTML report, static site and terminal report: contents, order, languages and escaping."""

import gzip
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from auditor.conclusions.association_view import AccountView, AssociationView, UncheckedItem
from auditor.conclusions.network_view import NetworkOverview
from auditor.conclusions.summary import Coverage
from auditor.config.schema import Config, SurveySettings
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import LANGUAGES
from auditor.core.rendering.templates import WebAppLinks, build_report_file_name
from auditor.presentation.reports import html, text
from auditor.presentation.reports.html import build_report_csp
from auditor.presentation.reports.text import (
    MAX_DETAILED_GAPS,
    choose_advice,
    list_current_strengths,
    list_strengths,
)
from auditor.rules.context import DomainExpiry
from auditor.rules.score import compute_score
from probes.models.finding import Activity, DatePrecision, FoundLink, LinkKind, Presence, Reason
from storage.models.audit import AccountState, Association, Gap, Proposal
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


def network_overview(*views):
    return NetworkOverview(
        as_of=NOW,
        since=None,
        run=None,
        counts={},
        associations=views,
        coverage=(Coverage("facebook", 4, 2, 1, 0, 1, 0, 83.0),),
        opened_gaps=tuple(row for association_view in views for row in association_view.gaps),
        closed_gaps=(),
        unknown_counts={("facebook", Reason.LOGIN_WALL): 1},
    )


class Balance(HTMLParser):
    """Checks that each tag of a page is closed."""

    VOID = frozenset({"meta", "br", "link", "rect", "line", "wbr"})

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def render_site(*views, config=CONFIG):
    return dict(html.render_site_pages(network_overview(*views), config))


def test_site_has_a_page_per_association_and_language():
    assert set(render_site(view())) == {
        "index.html",
        *(f"{code}/{name}" for code in LANGUAGES for name in ("index.html", "nour.html")),
    }


def test_pages_are_well_formed_with_language_and_direction():
    for name, page in render_site(view(gaps=map(gap, CODES), accounts=[account()])).items():
        balance = Balance()
        balance.feed(page)
        assert balance.open == [], name
        assert '<html lang="' in page
        assert "{" not in page.partition("</head>")[2], name
    assert 'dir="rtl"' in render_site(view())["ar/nour.html"]


def test_pages_have_no_scripts_and_load_only_their_style_sheets():
    for name, page in render_site(view(accounts=[account()])).items():
        assert "<script" not in page
        assert "src=" not in page
        loaded = re.findall(r'<link rel="(?!alternate)[^"]*" href="([^"]*)"', page)
        allowed = {"data:,"}
        if "nour" not in name:
            folder = "../" if "/" in name else ""
            allowed |= {f"{folder}{style_sheet}" for style_sheet in html.STYLE_SHEETS}
        assert set(loaded) <= allowed, name


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_report_describes_five_gaps_in_full_and_lists_the_others(step):
    gaps = [gap(code) for code in CODES[: MAX_DETAILED_GAPS + step]]
    page = render_site(view(gaps=gaps))["fr/nour.html"]
    assert page.count('class="steps"') == min(len(gaps), MAX_DETAILED_GAPS)
    assert ("lent à s’ouvrir" in page) is (step > 0)


def test_latest_post_shows_its_source_and_rhythm():
    activity = Activity(NOW - timedelta(days=21), "videos", DatePrecision.WEEK)
    pages = render_site(view(accounts=[account(last_activity=activity, rhythm_days=9)]))
    assert "about <bdi>4 November 2026</bdi> (active)" in pages["en/nour.html"]
    assert "from the videos shown · posts about every <bdi>9 days</bdi>" in pages["en/nour.html"]
    assert "environ <bdi>9\u00a0jours</bdi> entre deux publications" in pages["fr/nour.html"]
    assert (
        "حسب الفيديوهات المعروضة · <bdi>9 أيام</bdi> تقريبًا بين منشور وآخر" in pages["ar/nour.html"]
    )


@pytest.mark.parametrize("activity", ["inactive", "dormant", "unknown"])
def test_inactive_account_has_no_publication_rhythm(activity):
    page = render_site(view(accounts=[account(activity_band=activity, rhythm_days=9)]))[
        "en/nour.html"
    ]
    assert "publishes" not in page


def test_strength_shows_the_date_with_its_precision():
    activity = Activity(NOW - timedelta(days=21), "videos", DatePrecision.MONTH)
    strengths = list_strengths(view(accounts=[account(last_activity=activity)]), NOW)
    sentences = "\n".join(text.describe_strengths(strengths, Translator("en")))
    assert "last publication: about November 2026" in sentences


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


def test_link_reciprocity_is_hidden_for_websites_and_unlinked_accounts():
    association_view = view(
        accounts=[account("website"), account(link_reciprocity="registry_only")]
    )
    assert "Links:" not in render_site(association_view)["en/nour.html"]
    assert "Links:" not in text.format_association_report(association_view, NOW, "en")


def test_plain_text_report_lists_accounts():
    gone = account(
        state=AccountState.GONE,
        reason=Reason.NOT_FOUND,
        last_activity=None,
        activity_band="unknown",
    )
    output = text.format_association_report(
        view(accounts=[account(rhythm_days=1), gone]), NOW, "en"
    )
    assert "  - Facebook: present · https://www.facebook.com/nour\n" in output
    day = "22 November 2026 (active) · from its news feed · posts about every day"
    assert f"    Latest post: {day}\n" in output
    assert "  - Facebook: gone (page not found) · https://www.facebook.com/nour\n" in output
    assert "    Latest post: not known\n" in output


def report(association_view, language="en", **more):
    """Return the HTML of a report as the web application serves it."""
    link = WebAppLinks(language, "/report", has_network_pages=False)
    forms = html.ReportForms(
        replies=more.pop("replies", ()),
        completed_steps=more.pop("completed_steps", ()),
        notice=more.pop("notice", None),
        expires_at=NOW + timedelta(days=90),
    )
    return html.render_report(
        association_view, CONFIG, NOW, link, language, **{"forms": forms, **more}
    )


def test_full_report_is_one_file_below_ten_kilobytes_compressed():
    replies = [
        Reply(
            association="nour",
            kind=ReplyKind.DISPUTED,
            submitted_at=NOW,
            channel="facebook",
            code=code,
        )
        for code in CODES
    ]
    full = view(
        gaps=map(gap, CODES),
        accounts=[account(channel, account_id=number) for number, channel in enumerate(CHANNELS)],
        proposals=(PROPOSAL,),
        unchecked=[
            UncheckedItem(channel, "channel_unknown", {"cause": "login_wall"})
            for channel in CHANNELS
        ],
    )
    for language in LANGUAGES:
        page = report(
            full,
            language,
            replies=replies,
            notice=html.ReportNotice(at="account-1", done="sent"),
            report_url="https://r.example/r/" + "x" * 43,
        )
        assert len(gzip.compress(page.encode())) < 10_000
        assert not re.search(r'(src|rel="stylesheet")=|url\(', page)


def test_content_security_policy_allows_only_the_inline_style():
    policy = build_report_csp(report(view()))
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy == build_report_csp(report(view("Another", accounts=[account()]), "ar"))


def test_only_interactive_report_has_reply_forms():
    unknown_expiry = DomainExpiry("nour.example")
    association_view = view(
        gaps=[gap("channel_stale")],
        accounts=[account("website", domain_expiry=unknown_expiry)],
        proposals=(PROPOSAL,),
    )
    assert "<form" not in report(association_view, forms=None)
    page = report(association_view, "fr")
    reply_form_count = page.count('action="/fr/report/replies"')
    assert page.count("<form") == reply_form_count + page.count('action="/fr/report/steps"')
    kinds = set(re.findall(r'name="kind" value="(\w+)"', page))
    assert kinds == {kind.value for kind in ReplyKind}
    for name, value in (
        ("account_id", 1),
        ("gap_code", "channel_stale"),
        ("proposal_id", 7),
        ("value", "@amal"),
    ):
        assert f'<input type="hidden" name="{name}" value="{value}">' in page


def test_missing_channel_offers_an_address_or_none_by_choice():
    page = report(view(gaps=[gap("channel_missing", "youtube")]))
    assert "We choose not to use it" in page
    assert "We already have an account" in page
    assert "We choose not to use it" not in report(view(gaps=[gap("channel_stale")]))


def test_replies_are_shown_at_their_subject_with_outcome():
    association_view = view(
        gaps=[gap("channel_stale")], accounts=[account()], proposals=(PROPOSAL,)
    )
    replies = [
        Reply(
            association="nour",
            kind=ReplyKind.PROMISED,
            submitted_at=NOW,
            channel="facebook",
            code="channel_stale",
            value="2026-12-24",
        ),
        Reply(
            association="nour",
            kind=ReplyKind.MOVED,
            submitted_at=NOW,
            account_id=1,
            value="https://x.example/<b>",
            outcome=ReplyOutcome.ACCEPTED,
        ),
        Reply(
            association="nour",
            kind=ReplyKind.DISOWNED,
            submitted_at=NOW,
            channel="youtube",
            value="@amal",
            outcome=ReplyOutcome.DECLINED,
            review_reason="It is.",
        ),
    ]
    page = re.sub(r"</?bdi[^>]*>|<wbr>", "", report(association_view, replies=replies))
    assert (
        "you told us: we will do it by 24 December 2026.\nThe coordination team will look at it."
        in page
    )
    assert "its address is x.example/&lt;b&gt;.\nThe coordination team agrees." in page
    assert "this isn’t ours.\nThe coordination team did not accept this: It is." in page
    assert report(association_view).count('class="sent"') == 0


def test_report_names_recently_fixed_and_new_gaps():
    fixed = replace(gap("website_slow"), closed_at=NOW - timedelta(days=2))
    old = replace(gap("no_contact"), opened_at=NOW - timedelta(days=90))
    page = report(view(gaps=[old, gap("channel_stale")], all_gaps=(fixed,)))
    assert "Good news: The website opens faster" in page
    assert "New: Nothing has been posted on your Facebook page" in page
    assert "New: Visitors" not in page


def test_level_is_explained_with_its_rules():
    page = report(view())
    assert "Rules version" in page
    assert "<li>Website: <bdi>40</bdi> points</li>" in page
    assert "The level is not a ranking." in page


def test_report_with_url_has_a_qr_code():
    assert "<svg" not in report(view())
    page = report(view(), report_url="https://reports.example/r/abc")
    assert page.count("<svg") == 1
    assert '<a href="https://reports.example/r/abc" rel="nofollow noreferrer">' in page
    assert "reports.example/<wbr>r/<wbr>abc</a></bdi>" in page


def test_region_is_shown_in_the_language_of_the_page():
    association_view = replace(
        view(), association=Association("nour", "Nour", region="جهة سوس ماسة")
    )
    assert "<bdi>Souss-Massa</bdi>" in report(association_view, "fr")


def test_hostile_name_is_escaped():
    name = '<script>alert("x")</script> & \u202eevil'
    page = render_site(view(name, [gap("website_down", url='"><b>x')]))["en/nour.html"]
    assert "<script" not in page
    assert "<b>" not in page


def test_address_with_another_scheme_is_not_a_link():
    page = render_site(view(accounts=[account(url="javascript:alert(1)")]))["en/nour.html"]
    assert 'href="javascript' not in page


def test_unsafe_id_gets_a_safe_file_name():
    assert build_report_file_name("nour") == "nour.html"
    for identifier in ("../etc", "index", "جمعية", "a/b", ""):
        name = build_report_file_name(identifier)
        assert name.replace(".html", "").isalnum()
        assert name != "index.html"


def test_unchecked_account_is_shown_without_steps():
    item = UncheckedItem("facebook", "channel_unknown", {"cause": "login_wall", "last_date": ""})
    page = render_site(view(unchecked=(item,)))["en/nour.html"]
    assert "could not check your Facebook page" in page
    assert "not yet" in page
    assert 'class="steps"' not in page


@pytest.mark.parametrize(
    ("presence", "codes", "is_strength"),
    [
        (Presence.PRESENT, (), True),
        (Presence.PRESENT, ("feed_missing",), True),
        (Presence.PRESENT, ("website_down",), False),
        (Presence.UNKNOWN, (), False),
    ],
)
def test_website_is_a_strength_if_present_without_serious_gap(presence, codes, is_strength):
    severities = {"website_down": "high", "feed_missing": "low"}
    gaps = [gap(code, "website", severities[code]) for code in codes]
    website = account("website", latest_presence=presence)
    strengths = list_current_strengths(view(accounts=[website], gaps=gaps))
    assert ("website_ok" in [strength.label for strength in strengths]) is is_strength


def test_link_without_account_is_described_as_such():
    lost = account(state=AccountState.UNKNOWN, reason=Reason.WRONG_TARGET)
    assert (
        text.describe_account_state(lost, Translator("en"))
        == "the link does not lead to an account"
    )


def test_known_publication_date_is_shown_in_unknown_band():
    gone = account(state=AccountState.GONE, activity_band="unknown")
    publication = text.describe_latest_publication(gone, Translator("en"))
    assert "22 November 2026" in publication
    assert "not known" not in publication


def test_gap_names_its_account_if_the_channel_has_several():
    old = account(account_id=2, key="u:old", url="https://www.facebook.com/old")
    stale = replace(gap("channel_stale"), subject="u:old")
    two_accounts = view(accounts=[account(), old], gaps=[stale])
    one_account = view(accounts=[old], gaps=[stale])
    assert two_accounts.distinguishing_url(stale) == "https://www.facebook.com/old"
    assert one_account.distinguishing_url(stale) == ""
    assert two_accounts.distinguishing_url(gap("channel_missing")) == ""
    page = html.render_report(two_accounts, CONFIG, NOW, WebAppLinks("en"), "en")
    first_article = page.partition("<article")[2].partition("</article>")[0]
    assert 'href="https://www.facebook.com/old"' in first_article


def test_strengths_end_with_recently_fixed_gaps():
    fixed = replace(gap("channel_stale"), closed_at=NOW - timedelta(days=2))
    strengths = list_strengths(view(accounts=[account()], all_gaps=(fixed,)), NOW)
    labels = [strength.label for strength in strengths]
    assert labels == ["channel_active", "channel_linked", "gap_fixed"]
    sentences = "\n".join(text.describe_strengths(strengths, Translator("en")))
    assert "Well done" in sentences


def test_reopened_gap_is_not_a_strength():
    fixed = replace(gap("channel_stale"), closed_at=NOW - timedelta(days=2))
    assert list_strengths(view(gaps=[gap("channel_stale")], all_gaps=(fixed,)), NOW) == []


def test_having_no_gap_is_a_strength():
    quiet = account(activity_band="slow", link_reciprocity="site_only")
    strengths = list_strengths(view(accounts=[quiet]), NOW)
    assert [strength.label for strength in strengths] == ["no_gap"]


@pytest.mark.parametrize("accounts", [[], [account(state=AccountState.UNKNOWN, decided_at=None)]])
def test_unchecked_association_has_no_strengths(accounts):
    assert list_strengths(view(accounts=accounts), NOW) == []


def test_advice_for_a_gap_comes_first_and_is_limited():
    assert choose_advice(view(gaps=[gap("no_website", "website")]))[0] == "own_website"
    assert len(choose_advice(view())) == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_network_summary_shows_coverage_and_survey(language):
    overview = network_overview(view(gaps=[gap("website_down")]))
    summary = text.format_network_summary(overview, CONFIG, language)
    translator = Translator(language)
    assert text.format_coverage_interval(overview.coverage[0], translator) in summary
    assert translator.format_percent(0.83) in summary
    assert translator.term("cause", "login_wall") in summary


@pytest.mark.parametrize("language", [None, *LANGUAGES])
def test_plain_text_report_has_steps_and_no_markup(language):
    output = text.format_association_report(
        view(gaps=map(gap, CODES), accounts=[account()]), NOW, language
    )
    assert output.count("☐") > 10
    assert "<bdi" not in output
    assert "&" not in output


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
