"""The lists on a real server: associations, gaps and groups, filtered and paged by their addresses alone."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from lxml import html

from auditor.checking import checker
from auditor.runs.run import execute_run
from storage.models.audit import Association
from tests.support.mini_network import START, link, lived, night_of, opened, steps
from tests.support.web_server import logged_in_client

NOW = night_of(7) + timedelta(hours=8)
NAMES = [f"a{number:03}" for number in range(60)]


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)


def person(number, name):
    region = "L’Oriental & <i>" if number < 6 else "Souss"
    tags = ("t1",) if number % 2 else ()
    return Association(name, f"Assoc {number}", region=region, tags=tags, city="Oujda")


@lived
async def app(small):
    """Sixty associations in two regions, each on Facebook; the first one's page is lost at last."""
    rows = [link(name, "facebook", name) for name in NAMES]
    people = [person(number, name) for number, name in enumerate(NAMES)]
    small.store.save_registry(people, rows, START - timedelta(hours=1))
    for day in (0, 1, 3, 7):
        small.web.answers = {
            rows[0].typed_text: "gone" if day else "alive",
            rows[1].typed_text: "wall",
        }
        await execute_run(small, night_of(day))


def told(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text.replace("<bdi>", "").replace("</bdi>", "")


def listed(page):
    return [name for name in NAMES if f'href="/en/associations/{name}"' in page]


async def test_association_list_is_sorted_by_urgency_and_paged(app):
    with logged_in_client(app, NOW) as client:
        first = told(client, "/en/associations")
        assert "60 associations" in first
        assert first.index("/en/associations/a000") < first.index("/en/associations/a001")
        way = (
            first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
        )
        second = told(client, way)
    assert (len(listed(first)), len(listed(second))) == (50, 10)
    assert sorted(listed(first) + listed(second)) == NAMES
    assert "First page" in second


async def test_each_filter_narrows_the_list_and_has_a_chip(app):
    region = quote("L’Oriental & <i>")
    with logged_in_client(app, NOW) as client:
        assert listed(told(client, f"/en/associations?region={region}")) == NAMES[:6]
        both = told(client, f"/en/associations?region={region}&tag=t1")
        assert listed(both) == ["a001", "a003", "a005"]
        assert 'href="/en/associations?tag=t1"' in both
        assert "<i>" not in both
        assert listed(told(client, "/en/associations?channel=facebook&state=gone")) == ["a000"]
        assert listed(told(client, "/en/associations?channel=facebook&state=unknown")) == ["a001"]
        assert listed(told(client, "/en/associations?gap=channel_dead")) == ["a000"]
        assert listed(told(client, "/en/associations?q=assoc+42")) == ["a042"]


async def test_export_links_keep_the_filter(app):
    with logged_in_client(app, NOW) as client:
        assert "/en/exports/associations.csv?tag=t1" in told(client, "/en/associations?tag=t1")


async def test_invalid_list_parameters_are_ignored(app):
    with logged_in_client(app, NOW) as client:
        assert "60 associations" in told(client, "/en/associations?sort=nonsense&after=%25%25")
        assert "0 associations" in told(client, "/en/associations?gap=nonsense&level=none")
        told(client, "/en/gaps?gap=nonsense&severity=none")
        told(client, "/en/groups?group_by=nonsense&since=never")


async def test_association_list_can_be_sorted_by_name_and_by_change(app):
    with logged_in_client(app, NOW) as client:
        by_name = told(client, "/en/associations?sort=name")
        assert by_name.index("Assoc 10<") < by_name.index("Assoc 2<")
        assert listed(told(client, "/en/associations?sort=changed"))[0] == "a000"


async def test_gap_list_is_sorted_by_severity_and_counts_associations(app):
    with logged_in_client(app, NOW) as client:
        page = told(client, "/en/gaps")
        assert page.index("/en/associations/a000") < page.index("/en/associations/a001")
        assert 'href="/en/gaps?gap=channel_dead&amp;channel=facebook"' in page
        alone = told(client, "/en/gaps?gap=channel_dead")
        assert listed(alone) == ["a000"]
        assert "1 problem to fix" in alone


async def test_groups_are_sorted_by_their_change(app):
    with logged_in_client(app, NOW) as client:
        page = told(client, "/en/groups?group_by=region")
        assert page.index("L’Oriental") < page.index("Souss")
        assert "5 of 6 confirmed on 4 March 2026, now 4 of 6" in page
        assert "t1" in told(client, "/en/groups?group_by=tag")


@pytest.mark.parametrize("path", ["associations", "gaps", "groups"])
@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_lists_work_without_associations(tmp_path, path, language):
    app = opened(tmp_path)
    with logged_in_client(app, NOW) as client:
        told(client, f"/{language}/{path}")
    app.store.close()


@pytest.mark.parametrize(
    ("asked", "chips"),
    [
        ("channel=facebook", ["Facebook: has a problem"]),
        ("channel=facebook&state=confirmed", ["Facebook", "confirmed"]),
        ("channel=facebook&gap=channel_dead", ["Facebook"]),
    ],
)
async def test_channel_filter_without_a_state_means_a_gap_on_it(app, asked, chips):
    with logged_in_client(app, NOW) as client:
        page = html.fromstring(client.get(f"/en/associations?{asked}").text)
        plain = html.fromstring(client.get("/en/gaps?channel=facebook").text)
    said = [one.text_content() for one in page.xpath("//p[@class='chips']/a/bdi")]
    assert [one for one in said if one in chips or "Facebook" in one] == chips
    assert page.xpath("//select[@name='state']/option")[0].text == "any status"
    assert plain.xpath("//p[@class='chips']/a/bdi")[0].text_content() == "Facebook"
