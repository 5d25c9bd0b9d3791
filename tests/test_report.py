"""The pages and the terminal report: honest, in order, in each language, unmoved by hostile names."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from auditor.catalogue import LANGUAGES
from auditor.config import Config, Survey
from auditor.coverage import Coverage
from auditor.overview import Overview
from auditor.report import pages, text
from auditor.report.strengths import advice, strengths
from auditor.score import score
from auditor.view import AccountView, AssociationView, Unchecked
from auditor.wording import Wording
from probes.model import Activity, Kind, Precision, Presence, Reason
from storage.model import Association, Gap, State

NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)
CONFIG = Config(survey=Survey(figures={"facebook": 83.0}))
CODES = ("website_down", "channel_stale", "channel_dead", "no_contact", "feed_missing", "website_slow")


def gap(code, channel="facebook", severity="high", **more):
    params = {"url": "https://nour.example/", "cause": "timeout", "since": "2026-11-20", **more}
    return Gap("nour", channel, code, severity, NOW - timedelta(days=9), opened_at=NOW, params=params)


def account(channel="facebook", state=State.PRESENT, **more):
    base = AccountView(
        account_id=1,
        channel=channel,
        column=channel,
        typed="nour",
        kind=Kind.PROFILE,
        key="u:nour",
        url="https://www.facebook.com/nour",
        state=state,
        since=NOW,
        reason=None,
        last_activity=Activity(NOW - timedelta(days=3), "feed", Precision.DAY),
        activity="active",
        linked="reciprocal",
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
        score=score({}),
    )
    return replace(base, **more)


def seen(*views):
    return Overview(
        as_of=NOW,
        since=None,
        night=None,
        counts={},
        associations=views,
        coverage=(Coverage("facebook", 4, 2, 1, 0, 1, 0, 83.0),),
        opened=tuple(row for one in views for row in one.gaps),
        closed=(),
        untold={("facebook", Reason.LOGIN_WALL): 1},
    )


class Balance(HTMLParser):
    """Counts open tags; a page is whole when none is left open."""

    VOID = frozenset({"meta", "br", "rect", "line"})

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
    return dict(pages.pages(seen(*views), config))


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
        assert "{" not in page.partition("</style>")[2], name
    assert 'dir="rtl"' in written(view())["ar/nour.html"]


def test_pages_ask_for_nothing_and_run_nothing():
    for page in written(view(accounts=[account()])).values():
        assert "<script" not in page
        assert "<link" not in page
        assert "src=" not in page


def test_at_most_five_gaps_are_told_whole_and_the_rest_are_named():
    page = written(view(gaps=map(gap, CODES)))["fr/nour.html"]
    assert page.count('class="steps"') == 5
    assert "lent à s’ouvrir" in page


def test_a_last_publication_says_where_its_date_comes_from_and_how_often_there_is_one():
    told = Activity(NOW - timedelta(days=21), "videos", Precision.WEEK)
    shown = written(view(accounts=[account(last_activity=told, rhythm_days=9)]))
    assert "about <bdi>4 November 2026</bdi> (active)" in shown["en/nour.html"]
    assert "from the videos shown · publishes about every <bdi>9 days</bdi>" in shown["en/nour.html"]
    assert "<bdi>9\u00a0jours</bdi> environ entre deux publications" in shown["fr/nour.html"]
    assert "حسب الفيديوهات المعروضة · <bdi>9 أيام</bdi> تقريبًا بين منشور وآخر" in shown["ar/nour.html"]


@pytest.mark.parametrize("activity", ["inactive", "dormant", "unknown"])
def test_who_has_fallen_silent_is_not_said_to_publish(activity):
    page = written(view(accounts=[account(activity=activity, rhythm_days=9)]))["en/nour.html"]
    assert "publishes" not in page


def test_an_active_account_is_praised_with_no_more_exact_a_day_than_is_known():
    told = Activity(NOW - timedelta(days=21), "videos", Precision.MONTH)
    said = "\n".join(
        text.spoken_strengths(view(accounts=[account(last_activity=told)]), seen(), Wording("en"))
    )
    assert "last publication: about November 2026" in said


@pytest.mark.parametrize(
    ("linked", "said"),
    [
        ("reciprocal", "site and account lead to each other"),
        ("site_only", "the site leads to the account"),
        ("profile_only", "the account leads to the site"),
        ("contradicted", "the site or the account leads elsewhere"),
    ],
)
def test_how_site_and_account_lead_to_each_other_is_told_beside_the_address(linked, said):
    one = view(accounts=[account(linked=linked)])
    assert f"Links: {said}" in written(one)["en/nour.html"]
    assert f"Links: {said}" in text.told(seen(one), CONFIG, "nour", "en")


def test_links_are_not_told_of_a_website_or_where_only_the_registry_speaks():
    one = view(accounts=[account("website"), account(linked="registry_only")])
    assert "Links:" not in written(one)["en/nour.html"]
    assert "Links:" not in text.told(seen(one), CONFIG, "nour", "en")


def test_a_report_in_plain_text_lists_the_accounts():
    gone = account(state=State.GONE, reason=Reason.NOT_FOUND, last_activity=None, activity="unknown")
    said = text.told(seen(view(accounts=[account(rhythm_days=1), gone])), CONFIG, "nour", "en")
    assert "  - Facebook: present · https://www.facebook.com/nour\n" in said
    day = "22 November 2026 (active) · from its news feed · publishes about every day"
    assert f"    Last publication: {day}\n" in said
    assert "  - Facebook: gone (page not found) · https://www.facebook.com/nour\n" in said
    assert "    Last publication: not known\n" in said


def test_a_hostile_name_is_only_text():
    name = '<script>alert("x")</script> & \u202eevil'
    page = written(view(name, [gap("website_down", url='"><b>x')]))["en/nour.html"]
    assert "<script" not in page
    assert "<b>" not in page


def test_an_address_that_is_no_web_address_is_never_a_link():
    page = written(view(accounts=[account(url="javascript:alert(1)")]))["en/nour.html"]
    assert 'href="javascript' not in page


def test_an_odd_id_gets_a_safe_file_name():
    odd = view()
    assert pages.file_name(odd) == "nour.html"
    for identifier in ("../etc", "index", "جمعية", "a/b", ""):
        name = pages.file_name(replace(odd, association=Association(identifier, "x")))
        assert name.replace(".html", "").isalnum()
        assert name != "index.html"


def test_what_could_not_be_told_is_said_and_asks_nothing():
    one = Unchecked("facebook", "channel_unknown", {"cause": "login_wall", "last_date": ""})
    page = written(view(unchecked=(one,)))["en/nour.html"]
    assert "could not check your <bdi>Facebook</bdi> account" in page
    assert "never yet" in page
    assert 'class="steps"' not in page


def test_strengths_come_first_and_name_what_was_settled_lately():
    fixed = replace(gap("channel_stale"), closed_at=NOW - timedelta(days=2))
    told = strengths(view(accounts=[account()], all_gaps=(fixed,)), NOW)
    assert [one.label for one in told] == ["channel_active", "channel_linked", "gap_fixed"]
    said = "\n".join(text.spoken_strengths(view(all_gaps=(fixed,)), seen(), Wording("en")))
    assert "Well done" in said


def test_a_gap_that_opened_again_is_not_praised_as_settled():
    fixed = replace(gap("channel_stale"), closed_at=NOW - timedelta(days=2))
    assert strengths(view(gaps=[gap("channel_stale")], all_gaps=(fixed,)), NOW) == []


def test_an_association_without_gaps_hears_that():
    assert [one.label for one in strengths(view(), NOW)] == ["no_gap"]


def test_advice_is_short_and_fits():
    assert advice(view(gaps=[gap("no_website", "website")]))[0] == "own_website"
    assert len(advice(view())) == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_summary_sets_coverage_beside_the_survey(language):
    said = text.told(seen(view(gaps=[gap("website_down")])), CONFIG, None, language)
    words = Wording(language)
    assert text.interval(seen().coverage[0], words) in said
    assert words.percent(0.83) in said
    assert words.term("cause", "login_wall") in said


@pytest.mark.parametrize("language", [None, *LANGUAGES])
def test_a_report_in_plain_text_has_steps_and_no_markup(language):
    said = text.told(seen(view(gaps=map(gap, CODES), accounts=[account()])), CONFIG, "nour", language)
    assert said.count("☐") > 10
    assert "<bdi" not in said
    assert "&" not in said
