"""The pages and the terminal report: honest, in order, in each language, unmoved by hostile names."""

import gzip
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from auditor.config.schema import Config, SurveySettings
from auditor.evaluation.association_view import AccountView, AssociationView, UncheckedItem
from auditor.evaluation.network_view import NetworkOverview
from auditor.evaluation.summary import Coverage
from auditor.i18n.translator import Translator
from auditor.reference.gap_catalogue import LANGUAGES
from auditor.rendering.templates import WebAppLinks, build_report_file_name
from auditor.reports import html, text
from auditor.reports.html import build_report_csp
from auditor.reports.text import choose_advice, list_current_strengths, list_strengths
from auditor.rules.score import compute_score
from probes.models.finding import Activity, DatePrecision, FoundLink, LinkKind, Presence, Reason
from storage.models.audit import AccountState, Association, Gap, Proposal
from storage.models.users import Reply, ReplyKind, ReplyOutcome

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
        latest=Presence.PRESENT,
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


def seen(*views):
    return NetworkOverview(
        as_of=NOW,
        since=None,
        run=None,
        counts={},
        associations=views,
        coverage=(Coverage("facebook", 4, 2, 1, 0, 1, 0, 83.0),),
        opened_gaps=tuple(row for one in views for row in one.gaps),
        closed_gaps=(),
        unknown_counts={("facebook", Reason.LOGIN_WALL): 1},
    )


class Balance(HTMLParser):
    """Counts open tags; a page is whole when none is left open."""

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


def written(*views, config=CONFIG):
    return dict(html.render_site_pages(seen(*views), config))


def test_there_is_a_page_for_each_association_in_each_language():
    assert set(written(view())) == {
        "index.html",
        *(f"{code}/{name}" for code in LANGUAGES for name in ("index.html", "nour.html")),
    }


def test_every_page_is_whole_and_has_a_language_and_a_direction():
    for name, page in written(view(gaps=map(gap, CODES), accounts=[account()])).items():
        balance = Balance()
        balance.feed(page)
        assert balance.open == [], name
        assert '<html lang="' in page
        assert "{" not in page.partition("</head>")[2], name
    assert 'dir="rtl"' in written(view())["ar/nour.html"]


def test_pages_run_nothing_and_ask_for_nothing_but_their_style_sheets_beside_them():
    for name, page in written(view(accounts=[account()])).items():
        assert "<script" not in page
        assert "src=" not in page
        asked = re.findall(r'<link rel="(?!alternate)[^"]*" href="([^"]*)"', page)
        sheets = (
            {"data:,"}
            if "nour" in name
            else {
                "data:,",
                *(f"{'../' if '/' in name else ''}{sheet}" for sheet in html.STYLE_SHEETS),
            }
        )
        assert set(asked) <= sheets, name


def test_at_most_five_gaps_are_told_whole_and_the_rest_are_named():
    page = written(view(gaps=map(gap, CODES)))["fr/nour.html"]
    assert page.count('class="steps"') == 5
    assert "lent à s’ouvrir" in page


def test_a_last_publication_says_where_its_date_comes_from_and_how_often_there_is_one():
    told = Activity(NOW - timedelta(days=21), "videos", DatePrecision.WEEK)
    shown = written(view(accounts=[account(last_activity=told, rhythm_days=9)]))
    assert "about <bdi>4 November 2026</bdi> (active)" in shown["en/nour.html"]
    assert "from the videos shown · posts about every <bdi>9 days</bdi>" in shown["en/nour.html"]
    assert "environ <bdi>9\u00a0jours</bdi> entre deux publications" in shown["fr/nour.html"]
    assert (
        "حسب الفيديوهات المعروضة · <bdi>9 أيام</bdi> تقريبًا بين منشور وآخر" in shown["ar/nour.html"]
    )


@pytest.mark.parametrize("activity", ["inactive", "dormant", "unknown"])
def test_who_has_fallen_silent_is_not_said_to_publish(activity):
    page = written(view(accounts=[account(activity_band=activity, rhythm_days=9)]))["en/nour.html"]
    assert "publishes" not in page


def test_an_active_account_is_praised_with_no_more_exact_a_day_than_is_known():
    told = Activity(NOW - timedelta(days=21), "videos", DatePrecision.MONTH)
    said = "\n".join(
        text.describe_strengths(
            list_strengths(view(accounts=[account(last_activity=told)]), NOW), Translator("en")
        )
    )
    assert "last publication: about November 2026" in said


@pytest.mark.parametrize(
    ("linked", "said"),
    [
        ("reciprocal", "website and account link to each other"),
        ("site_only", "the website links to the account"),
        ("profile_only", "the account links to the website"),
        ("contradicted", "the website or the account links elsewhere"),
    ],
)
def test_how_site_and_account_lead_to_each_other_is_told_beside_the_address(linked, said):
    one = view(accounts=[account(link_reciprocity=linked)])
    assert f"Links: {said}" in written(one)["en/nour.html"]
    assert f"Links: {said}" in text.format_terminal_report(seen(one), CONFIG, "nour", "en")


def test_links_are_not_told_of_a_website_or_where_only_the_registry_speaks():
    one = view(accounts=[account("website"), account(link_reciprocity="registry_only")])
    assert "Links:" not in written(one)["en/nour.html"]
    assert "Links:" not in text.format_terminal_report(seen(one), CONFIG, "nour", "en")


def test_a_report_in_plain_text_lists_the_accounts():
    gone = account(
        state=AccountState.GONE,
        reason=Reason.NOT_FOUND,
        last_activity=None,
        activity_band="unknown",
    )
    said = text.format_terminal_report(
        seen(view(accounts=[account(rhythm_days=1), gone])), CONFIG, "nour", "en"
    )
    assert "  - Facebook: present · https://www.facebook.com/nour\n" in said
    day = "22 November 2026 (active) · from its news feed · posts about every day"
    assert f"    Latest post: {day}\n" in said
    assert "  - Facebook: gone (page not found) · https://www.facebook.com/nour\n" in said
    assert "    Latest post: not known\n" in said


def report(one, language="en", **more):
    """An association's report as the web shows it."""
    link = WebAppLinks(language, "/report", has_network_pages=False)
    return html.render_report(one, CONFIG, NOW, link, language, **{"is_interactive": True, **more})


def test_a_full_report_is_one_file_of_less_than_ten_kilobytes_on_the_line():
    said = [Reply("nour", ReplyKind.DISPUTED, NOW, channel="facebook", code=code) for code in CODES]
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
        told = report(
            full,
            language,
            replies=said,
            is_reply_sent=True,
            report_url="https://r.example/r/" + "x" * 43,
        )
        assert len(gzip.compress(told.encode())) < 10_000
        assert not re.search(r'(src|rel="stylesheet")=|url\(', told)


def test_the_policy_lets_a_reports_own_style_and_nothing_else():
    told = report(view())
    assert build_report_csp(told).startswith("default-src 'none'; style-src 'sha256-")
    assert build_report_csp(told) == build_report_csp(
        report(view("Another", accounts=[account()]), "ar")
    )


def test_a_report_can_be_answered_only_where_somebody_listens():
    one = view(gaps=[gap("channel_stale")], accounts=[account()], proposals=(PROPOSAL,))
    assert "<form" not in report(one, is_interactive=False)
    told = report(one, "fr")
    assert told.count('action="/fr/report/replies"') == told.count("<form")
    kinds = set(re.findall(r'name="kind" value="(\w+)"', told))
    assert kinds == {kind.value for kind in ReplyKind}
    for name, value in (
        ("account_id", 1),
        ("gap_code", "channel_stale"),
        ("proposal_id", 7),
        ("value", "@amal"),
    ):
        assert f'<input type="hidden" name="{name}" value="{value}">' in told


def test_of_an_account_that_is_missing_one_can_say_that_there_is_one_or_that_there_shall_be_none():
    told = report(view(gaps=[gap("channel_missing", "youtube")]))
    assert "We choose not to use it" in told
    assert "We have an account at this address" in told
    assert "We choose not to use it" not in report(view(gaps=[gap("channel_stale")]))


def test_what_was_answered_stands_where_it_belongs_with_what_became_of_it():
    one = view(gaps=[gap("channel_stale")], accounts=[account()], proposals=(PROPOSAL,))
    said = [
        Reply(
            "nour", ReplyKind.PROMISED, NOW, "facebook", code="channel_stale", value="2026-12-24"
        ),
        Reply(
            "nour",
            ReplyKind.MOVED,
            NOW,
            account_id=1,
            value="https://x.example/<b>",
            outcome=ReplyOutcome.ACCEPTED,
        ),
        Reply(
            "nour",
            ReplyKind.DISOWNED,
            NOW,
            "youtube",
            value="@amal",
            outcome=ReplyOutcome.DECLINED,
            review_reason="It is.",
        ),
    ]
    told = re.sub(r"</?bdi[^>]*>|<wbr>", "", report(one, replies=said))
    assert (
        "you told us: we will do it by 24 December 2026.\nThe coordination team will look at it."
        in told
    )
    assert "its address is x.example/&lt;b&gt;.\nThe coordination team agrees." in told
    assert "this isn’t ours.\nThe coordination team did not accept this: It is." in told
    assert report(one).count('class="sent"') == 0


def test_what_was_settled_lately_is_praised_and_what_is_new_is_named():
    fixed = replace(gap("website_slow"), closed_at=NOW - timedelta(days=2))
    old = replace(gap("no_contact"), opened_at=NOW - timedelta(days=90))
    told = report(view(gaps=[old, gap("channel_stale")], all_gaps=(fixed,)))
    assert "Well done, fixed: Your website is slow to open" in told
    assert "New: Your <bdi>Facebook</bdi> account has been silent" in told
    assert "New: Visitors" not in told


def test_a_level_is_told_with_its_rules_and_is_no_ranking():
    told = report(view())
    assert "Rules version" in told
    assert "<li>Website: <bdi>40</bdi> points</li>" in told
    assert "The level is not a ranking." in told


def test_paper_leads_back_to_the_page_where_its_address_is_known():
    assert "<svg" not in report(view())
    told = report(view(), report_url="https://reports.example/r/abc")
    assert told.count("<svg") == 1
    assert '<bdi dir="ltr">reports.example/<wbr>r/<wbr>abc</bdi>' in told


def test_the_region_is_named_in_the_readers_language():
    one = replace(view(), association=Association("nour", "Nour", region="جهة سوس ماسة"))
    assert "<bdi>Souss-Massa</bdi>" in report(one, "fr")


def test_a_hostile_name_is_only_text():
    name = '<script>alert("x")</script> & \u202eevil'
    page = written(view(name, [gap("website_down", url='"><b>x')]))["en/nour.html"]
    assert "<script" not in page
    assert "<b>" not in page


def test_an_address_that_is_no_web_address_is_never_a_link():
    page = written(view(accounts=[account(url="javascript:alert(1)")]))["en/nour.html"]
    assert 'href="javascript' not in page


def test_an_odd_id_gets_a_safe_file_name():
    assert build_report_file_name("nour") == "nour.html"
    for identifier in ("../etc", "index", "جمعية", "a/b", ""):
        name = build_report_file_name(identifier)
        assert name.replace(".html", "").isalnum()
        assert name != "index.html"


def test_what_could_not_be_told_is_said_and_asks_nothing():
    one = UncheckedItem("facebook", "channel_unknown", {"cause": "login_wall", "last_date": ""})
    page = written(view(unchecked=(one,)))["en/nour.html"]
    assert "could not check your <bdi>Facebook</bdi> account" in page
    assert "not yet" in page
    assert 'class="steps"' not in page


@pytest.mark.parametrize(
    ("seen", "codes", "works"),
    [
        (Presence.PRESENT, (), True),
        (Presence.PRESENT, ("feed_missing",), True),
        (Presence.PRESENT, ("website_down",), False),
        (Presence.UNKNOWN, (), False),
    ],
)
def test_a_site_works_where_the_last_look_saw_it_and_nothing_grave_is_told(seen, codes, works):
    gravity = {"website_down": "high", "feed_missing": "low"}
    gaps = [gap(code, "website", gravity[code]) for code in codes]
    told = list_current_strengths(view(accounts=[account("website", latest=seen)], gaps=gaps))
    assert ("website_ok" in [one.label for one in told]) is works


def test_a_link_that_leads_to_no_account_is_called_that():
    lost = account(state=AccountState.UNKNOWN, reason=Reason.WRONG_TARGET)
    assert (
        text.describe_account_state(lost, Translator("en"))
        == "the link does not lead to an account"
    )


def test_a_day_that_is_known_is_never_called_unknown():
    gone = account(state=AccountState.GONE, activity_band="unknown")
    told = text.describe_latest_publication(gone, Translator("en"))
    assert "22 November 2026" in told
    assert "not known" not in told


def test_a_point_names_its_account_where_the_channel_has_several():
    old = account(account_id=2, key="u:old", url="https://www.facebook.com/old")
    stale = replace(gap("channel_stale"), subject="u:old")
    both, one = view(accounts=[account(), old], gaps=[stale]), view(accounts=[old], gaps=[stale])
    assert both.distinguishing_url(stale) == "https://www.facebook.com/old"
    assert one.distinguishing_url(stale) == ""
    assert both.distinguishing_url(gap("channel_missing")) == ""
    told = html.render_report(both, CONFIG, NOW, WebAppLinks("en"), "en")
    assert (
        'href="https://www.facebook.com/old"'
        in told.partition("<article")[2].partition("</article>")[0]
    )


def test_strengths_come_first_and_name_what_was_settled_lately():
    fixed = replace(gap("channel_stale"), closed_at=NOW - timedelta(days=2))
    told = list_strengths(view(accounts=[account()], all_gaps=(fixed,)), NOW)
    assert [one.label for one in told] == ["channel_active", "channel_linked", "gap_fixed"]
    said = "\n".join(text.describe_strengths(told, Translator("en")))
    assert "Well done" in said


def test_a_gap_that_opened_again_is_not_praised_as_settled():
    fixed = replace(gap("channel_stale"), closed_at=NOW - timedelta(days=2))
    assert list_strengths(view(gaps=[gap("channel_stale")], all_gaps=(fixed,)), NOW) == []


def test_an_association_without_gaps_hears_that():
    quiet = account(activity_band="slow", link_reciprocity="site_only")
    assert [one.label for one in list_strengths(view(accounts=[quiet]), NOW)] == ["no_gap"]


@pytest.mark.parametrize("accounts", [[], [account(state=AccountState.UNKNOWN, decided_at=None)]])
def test_an_association_of_which_nothing_is_known_yet_is_not_told_that_it_has_no_gaps(accounts):
    assert list_strengths(view(accounts=accounts), NOW) == []


def test_advice_is_short_and_fits():
    assert choose_advice(view(gaps=[gap("no_website", "website")]))[0] == "own_website"
    assert len(choose_advice(view())) == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_summary_sets_coverage_beside_the_survey(language):
    said = text.format_terminal_report(
        seen(view(gaps=[gap("website_down")])), CONFIG, None, language
    )
    words = Translator(language)
    assert text.format_coverage_interval(seen().coverage[0], words) in said
    assert words.format_percent(0.83) in said
    assert words.term("cause", "login_wall") in said


@pytest.mark.parametrize("language", [None, *LANGUAGES])
def test_a_report_in_plain_text_has_steps_and_no_markup(language):
    said = text.format_terminal_report(
        seen(view(gaps=map(gap, CODES), accounts=[account()])), CONFIG, "nour", language
    )
    assert said.count("☐") > 10
    assert "<bdi" not in said
    assert "&" not in said
