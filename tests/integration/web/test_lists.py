"""The lists of associations, gaps and groups with their filters."""

import re
from datetime import timedelta
from urllib.parse import quote, quote_plus

import pytest
from lxml import html

from auditor.checking import checker
from auditor.core import form_limits
from auditor.presentation.views.associations import MAX_EVENTS
from auditor.presentation.views.calls import MAX_CALLS
from auditor.runs.run import execute_run
from auditor.web.routes import dashboard, gaps
from storage.models.audit import Association
from storage.models.users import FollowUpKind
from storage.tables.communication import FollowUp
from tests.support.mini_network import START, link, lived, night_of, opened, steps
from tests.support.web_server import get_text, logged_in_client

NOW = night_of(7) + timedelta(hours=8)
NAMES = [f"a{number:03}" for number in range(60)]


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


def build_association(number, name):
    region = "L’Oriental & <i>" if number < 6 else "Souss"
    tags = ("t1",) if number % 2 else ()
    return Association(name, f"Assoc {number}", region=region, tags=tags, city="Oujda")


@lived
async def app(network):
    """Sixty associations in two regions, each with a Facebook page; the first one is gone."""
    rows = [link(name, "facebook", name) for name in NAMES]
    associations = [build_association(number, name) for number, name in enumerate(NAMES)]
    network.store.registry.save_registry(associations, rows, START - timedelta(hours=1))
    for day in (0, 1, 3, 7):
        network.web.answers = {
            rows[0].typed_text: "gone" if day else "alive",
            rows[1].typed_text: "wall",
        }
        await execute_run(network, night_of(day))


def list_associations(text):
    return [name for name in NAMES if re.search(rf'href="/en/associations/{name}(\?[^"]*)?"', text)]


async def test_association_list_is_sorted_by_urgency_and_paged(app, monkeypatch):
    monkeypatch.setattr("auditor.web.routes.associations.GRID_PAGE_SIZE", 50)
    with logged_in_client(app, NOW) as client:
        first_page = get_text(client, "/en/associations")
        assert "60 associations" in first_page
        assert first_page.index("/en/associations/a000") < first_page.index("/en/associations/a001")
        next_url = (
            first_page.split('rel="next"')[0]
            .rsplit('href="', 1)[1]
            .split('"')[0]
            .replace("&amp;", "&")
        )
        second_page = get_text(client, next_url)
    assert (len(list_associations(first_page)), len(list_associations(second_page))) == (50, 10)
    assert sorted(list_associations(first_page) + list_associations(second_page)) == NAMES
    assert "First page" in second_page


async def test_each_filter_narrows_the_list_and_has_a_chip(app):
    region = quote("L’Oriental & <i>")
    with logged_in_client(app, NOW) as client:
        assert list_associations(get_text(client, f"/en/associations?region={region}")) == NAMES[:6]
        filtered = get_text(client, f"/en/associations?region={region}&tag=t1")
        assert list_associations(filtered) == ["a001", "a003", "a005"]
        assert f'href="/en/associations?region={quote_plus("L’Oriental & <i>")}"' in filtered
        assert "<i>" not in filtered
        assert list_associations(
            get_text(client, "/en/associations?channel=facebook&state=broken")
        ) == ["a000"]
        assert list_associations(
            get_text(client, "/en/associations?channel=facebook&state=unknown")
        ) == ["a001"]
        assert list_associations(get_text(client, "/en/associations?gap=channel_dead")) == ["a000"]
        assert list_associations(get_text(client, "/en/associations?q=assoc+42")) == ["a042"]


async def test_export_links_keep_the_filter(app):
    with logged_in_client(app, NOW) as client:
        assert "/en/exports/associations.csv?tag=t1" in get_text(client, "/en/associations?tag=t1")


async def test_invalid_list_parameters_are_ignored(app):
    with logged_in_client(app, NOW) as client:
        assert "60 associations" in get_text(client, "/en/associations?sort=nonsense&after=%25%25")
        get_text(client, "/en/groups?group_by=nonsense&since=never")


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("associations?gap=nonsense&level=none&state=x&channel=y", ("nonsense", "none", "x", "y")),
        ("gaps?gap=nonsense&gap_kind=wrong", ("nonsense",)),
    ],
)
async def test_unknown_filter_value_finds_nothing_and_can_be_removed(app, path, values):
    with logged_in_client(app, NOW) as client:
        page = html.fromstring(get_text(client, f"/en/{path}"))
    assert page.xpath("//table") == []
    chips = [chip.text.strip() for chip in page.xpath("//p[@class='chips']/a")]
    assert {*values} <= {*chips}


async def test_association_list_can_be_sorted_by_name_and_by_change(app):
    with logged_in_client(app, NOW) as client:
        by_name = get_text(client, "/en/associations?sort=name")
        assert by_name.index("Assoc 10<") < by_name.index("Assoc 2<")
        assert list_associations(get_text(client, "/en/associations?sort=changed"))[0] == "a000"


async def test_gap_list_is_sorted_by_severity_and_counts_associations(app):
    with logged_in_client(app, NOW) as client:
        text = get_text(client, "/en/gaps")
        assert text.index("/en/associations/a000") < text.index("/en/associations/a001")
        assert 'href="/en/gaps?gap=channel_dead&amp;channel=facebook"' in text
        filtered = get_text(client, "/en/gaps?gap=channel_dead")
        assert list_associations(filtered) == ["a000"]
        assert "1 problem to fix" in filtered


async def test_groups_are_sorted_by_their_change(app):
    with logged_in_client(app, NOW) as client:
        text = get_text(client, "/en/groups?group_by=region")
        assert text.index("L’Oriental") < text.index("Souss")
        assert "5 of 6 confirmed on 4 March 2026, now 4 of 6" in text
        assert "t1" in get_text(client, "/en/groups?group_by=tag")


@pytest.mark.parametrize("path", ["associations", "gaps", "groups"])
@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_lists_work_without_associations(tmp_path, path, language):
    app = opened(tmp_path)
    with logged_in_client(app, NOW) as client:
        get_text(client, f"/{language}/{path}")
    app.store.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("channel=facebook", ["Facebook: has a problem"]),
        ("channel=facebook&state=present", ["Facebook", "present"]),
        ("channel=facebook&gap=channel_dead", ["Facebook"]),
    ],
)
async def test_channel_filter_without_a_state_means_a_gap_on_it(app, query, expected):
    with logged_in_client(app, NOW) as client:
        text = html.fromstring(client.get(f"/en/associations?{query}").text)
        plain = html.fromstring(client.get("/en/gaps?channel=facebook").text)
    labels = [chip.text_content() for chip in text.xpath("//p[@class='chips']/a/bdi")]
    assert [label for label in labels if label in expected or "Facebook" in label] == expected
    assert text.xpath("//select[@name='state']/option")[0].text == "any status"
    assert plain.xpath("//p[@class='chips']/a/bdi")[0].text_content() == "Facebook"


STEPS = [-1, 0, 1]


def count_groups(text):
    return len(html.fromstring(text).findall('.//div[@class="pair"]/section'))


@pytest.mark.parametrize("step", STEPS)
async def test_groups_beyond_the_shown_ones_are_counted(app, monkeypatch, step):
    monkeypatch.setattr(dashboard, "MAX_SHOWN_GROUPS", 2 - step)
    with logged_in_client(app, NOW) as client:
        text = get_text(client, "/en/groups")
    assert count_groups(text) == (2 if step <= 0 else 1)
    assert ("1 more group" in text) is (step > 0)


@pytest.mark.parametrize("step", STEPS)
async def test_comparison_reaches_back_over_some_runs(app, monkeypatch, step):
    """The network has four runs."""
    monkeypatch.setattr(dashboard, "MAX_COMPARED_RUNS", 4 - step)
    first_day = night_of(0).date()
    with logged_in_client(app, NOW) as client:
        text = get_text(client, f"/en/groups?since={first_day}")
    assert (f'name="since" value="{first_day}"' in text) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
async def test_page_of_changes_says_if_some_are_left_out(app, monkeypatch, step):
    path = f"/en/changes?since={night_of(1).date()}"
    with logged_in_client(app, NOW) as client:
        count = int(re.search(r"(\d+) new problem", get_text(client, path))[1])
        monkeypatch.setattr(gaps, "MAX_LISTED_CHANGES", count - step)
        text = get_text(client, path)
    assert count > 0
    assert ("Only the most severe are shown." in text) is (step > 0)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("path", ["associations", "exports/gaps.csv", "meeting", "meeting.xlsx"])
async def test_search_has_a_longest_text(app, step, path):
    """2,000 words made SQLite refuse the query (500)."""
    words = " ".join(map(str, range(100)))[: form_limits.MAX_SEARCH_CHARS + step - 1] + "x"
    with logged_in_client(app, NOW) as client:
        status = client.get(f"/en/{path}", params={"q": words}).status_code
    assert status == (200 if step <= 0 else 422)


@pytest.mark.parametrize("step", STEPS)
async def test_meeting_pack_has_a_limited_number_of_calls(app, step):
    with logged_in_client(app, NOW) as client:
        status = client.get(f"/en/meeting?call_limit={MAX_CALLS + step}").status_code
    assert status == (200 if step <= 0 else 422)


@pytest.mark.parametrize("step", STEPS)
async def test_history_of_an_association_counts_what_it_leaves_out(app, step):
    """It left it out silently."""

    def list_entries(client):
        text = get_text(client, "/en/associations/a002")
        return html.fromstring(text).findall('.//section[@aria-labelledby="history"]//li'), text

    with logged_in_client(app, NOW) as client:
        entries, _ = list_entries(client)
        for _ in range(MAX_EVENTS + step - len(entries)):
            note = FollowUp(association="a002", kind=FollowUpKind.NOTE, author="A", text="x")
            note.occurred_at = NOW
            app.store.follow_ups.add(note)
        entries, text = list_entries(client)
    assert len(entries) == min(MAX_EVENTS, MAX_EVENTS + step)
    assert ("1 more change" in text) is (step > 0)
