"""The lists of associations and gaps: filters, chips, pages, and actions on a selection."""

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from lxml import html

from storage.models.users import Role
from tests.support import sample_network
from tests.support.web_server import get_text, logged_in_client, read_page

pytestmark = pytest.mark.slow  # playing the sample network takes seconds

NOW = sample_network.NOW
GRID = "/en/associations"


@pytest.fixture
def app(sample_app):
    return sample_app


def get_page(client, path):
    return html.fromstring(read_page(client.get(path)))


def list_row_ids(page):
    return [row.get("id").removeprefix("row-") for row in page.xpath("//tbody/tr[@id]")]


def find_row(page, association):
    [row] = page.xpath(f"//tr[@id='row-{association}']")
    return row


def read_text(element):
    return " ".join(element.text_content().split())


def test_row_has_place_actions_and_a_cell_with_status_date_and_strip_per_channel(client):
    row = find_row(get_page(client, "/fr/associations"), "nour")
    assert "Agadir · Souss-Massa" in read_text(row)
    addresses = row.xpath("td[@class='row-acts']/a/@href")
    assert addresses == [
        "tel:+212612345678",
        "/fr/associations/nour/whatsapp",
        "/fr/report-links/nour",
    ]
    row = find_row(get_page(client, GRID), "nour")
    cells = {
        read_text(cell.find(".//span")): cell
        for cell in row.xpath("td[.//svg and not(@class='row-acts')]")
    }
    names = [name.partition(":")[0] for name in cells]
    assert names[:5] == ["Website", "Facebook", "X (Twitter)", "LinkedIn", "YouTube"]
    strip = cells["Website: present"].xpath(".//svg[contains(@class, 'strip')]/path/@class")
    assert strip == ["present"]
    assert read_text(cells["Facebook: present"].find(".//b")) == "3 days"
    assert read_text(cells["YouTube: broken"].find(".//b")) != ""


@pytest.mark.parametrize("query", ["", "?region=souss-massa", "?q=num"])
def test_every_chip_leads_to_as_many_associations_as_it_says(client, query):
    chips = get_page(client, f"{GRID}{query}").xpath("//nav[@class='grid-chips']/a")
    assert chips[0].get("aria-current") == "true", "no filter: the first chip is chosen"
    assert len(chips) > 5
    for chip in chips:
        count = int(read_text(chip).rpartition(" ")[2])
        assert len(list_row_ids(get_page(client, chip.get("href")))) == count, read_text(chip)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "Tiznit"}, "bare"),
        ({"q": "تيزنيت"}, "bare"),
        ({"q": "agadir"}, "nour"),
        ({"q": "oriental"}, "amal"),
        ({"q": "النور"}, "long nour"),
        ({"q": "للنور"}, "long nour"),
        ({"tag": "badge", "region": "Souss-Massa"}, "nour"),
        ({"channel": "youtube", "state": "broken"}, "nour"),
        ({"channel": "linkedin", "state": "unknown"}, "nour"),
        ({"gap": "channel_dead"}, "nour"),
        ({"q": "+212 612-345678"}, "nour"),
        ({"q": "٠٦١٢٣٤٥٦٧٨"}, "nour"),
        ({"q": "0612345679"}, ""),
        ({"q": "facebook.com/Nour.Agadir"}, "nour"),
        ({"q": "m.facebook.com/nour.agadir", "gap": "channel_dead"}, "nour"),
    ],
)
def test_search_and_filters_narrow_the_list(client, query, found):
    page = get_page(client, f"/fr/associations?{urlencode({**query, 'sort': 'name'})}")
    assert sorted(list_row_ids(page)) == found.split()


def test_search_by_telephone_keeps_the_numbers_of_other_regions(sample_app):
    query = urlencode({"q": "0612345678"})
    for name, role, regions, found in (
        ("Reader", Role.READER, (), []),
        ("Coordinator of the east", Role.COORDINATOR, ("oriental",), []),
        ("Coordinator of the south", Role.COORDINATOR, ("souss-massa",), ["nour"]),
    ):
        user = {"name": name, "role": role, "regions": regions}
        with logged_in_client(sample_app, NOW, **user) as client:
            assert list_row_ids(get_page(client, f"{GRID}?{query}")) == found


def test_list_is_sorted_by_urgency_and_paged(client, monkeypatch):
    monkeypatch.setattr("auditor.web.routes.associations.GRID_PAGE_SIZE", 10)
    first_page = get_page(client, GRID)
    [next_url] = first_page.xpath("//a[@rel='next']/@href")
    second_page = get_page(client, next_url)
    pages = list_row_ids(first_page), list_row_ids(second_page)
    assert [len(ids) for ids in pages] == [10, 4]
    assert {*pages[0], *pages[1]} == {entry.id for entry in sample_network.PEOPLE}
    assert pages[0][:3] == ["long", "nour", "amal"]
    assert "First page" in read_text(second_page)


def test_gap_list_is_sorted_by_severity_and_counts_associations(client):
    text = get_text(client, "/en/gaps", 'href="/en/gaps?gap=channel_dead&amp;channel=youtube"')
    assert text.index("/en/associations/nour") < text.index("/en/associations/x0")
    filtered = get_text(client, "/en/gaps?gap=channel_dead", "1 problem to fix")
    assert set(re.findall(r'href="/en/associations/(\w+)', filtered)) == {"nour"}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("associations?gap=nonsense&level=none&state=x&channel=y", {"nonsense", "none", "x", "y"}),
        ("gaps?gap=nonsense&gap_kind=wrong", {"nonsense"}),
    ],
)
def test_unknown_filter_value_finds_nothing_and_can_be_removed(client, path, values):
    page = get_page(client, f"/en/{path}")
    assert page.xpath("//table") == []
    assert values <= {chip.text.strip() for chip in page.xpath("//p[@class='chips']/a")}


@pytest.mark.parametrize(
    "path", ["associations?sort=nonsense&after=%25%25", "groups?group_by=nonsense&since=never"]
)
def test_invalid_list_parameters_are_ignored(client, path):
    get_text(client, f"/en/{path}")


def test_association_leads_back_to_the_same_filter_and_row(client):
    page = get_page(client, f"{GRID}?region=souss-massa&sort=name")
    address = find_row(page, "nour").xpath("th/a/@href")[0]
    parts = urlsplit(get_page(client, address).xpath("//a[@class='back']/@href")[0])
    assert (parts.path, parts.fragment) == (GRID, "row-nour")
    assert parse_qs(parts.query) == {"region": ["souss-massa"], "sort": ["name"]}


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "x=1&next=//evil.example"]
)
def test_way_back_leads_nowhere_else(client, back):
    page = client.get("/en/associations/nour", params={"back": back}).text
    assert html.fromstring(page).xpath("//a[@class='back']/@href") == [f"{GRID}#row-nour"]


def test_coordinator_of_a_region_selects_only_there(app):
    user = {"name": "Salma", "role": Role.COORDINATOR, "regions": ("oriental",)}
    with logged_in_client(app, NOW, **user) as client:
        assert get_page(client, GRID).xpath("//input[@name='id']/@value") == ["amal"]
        data = {"action": "export", "id": ["amal", "nour"]}
        assert client.post(GRID, data=data).status_code == 403


def test_selection_is_exported_or_shown_again_if_it_is_empty(client):
    export = client.post(GRID, data={"action": "export", "id": ["nour", "amal"]})
    assert "spreadsheetml" in export.headers["content-type"]
    empty = client.post(GRID, data={"action": "export", "back": "region=souss-massa"})
    assert empty.headers["location"].startswith(f"{GRID}?region=souss-massa&done=")
    assert "Nothing was done." in read_text(get_page(client, empty.headers["location"]))


def test_tag_is_added_and_logged(app, client):
    data = {"action": "tag", "id": ["nour", "bare"], "tag": " to visit "}
    location = client.post(GRID, data=data).headers["location"]
    page = get_page(client, location)
    assert sorted(list_row_ids(page)) == ["bare", "nour"]
    assert "Tag added: to visit" in read_text(page)
    entry = app.store.registry.get_association_entry("nour")
    assert entry.association.tags == ("rabat", "badge", "to visit")
    assert entry.contact.phone == "06 12 34 56 78"
    assert len(list(app.store.registry.list_accounts("nour"))) == 5
    log = app.store.audit_log.list_audit_log(association="nour")
    [change, *_] = [item for item in log if item.field == "tags"]
    assert (change.author, change.source) == ("Amina", "web")


def test_tags_are_read_as_in_a_cell(app, client):
    data = {"action": "tag", "id": "bare", "tag": "a, b"}
    location = client.post(GRID, data=data).headers["location"]
    assert "Tag added: a, b" in read_text(get_page(client, location))
    assert app.store.registry.get_association("bare").tags[-2:] == ("a", "b")
    for tag in (",", "\u202e"):
        response = client.post(GRID, data={"action": "tag", "id": "bare", "tag": tag})
        assert "Nothing was done." in read_text(get_page(client, response.headers["location"]))


def test_messages_of_a_selection_have_links_and_texts_and_are_marked_as_sent(app, client):
    response = client.post("/fr/associations", data={"action": "messages", "id": ["nour", "bare"]})
    location = response.headers["location"]
    page = html.fromstring(get_text(client, location))
    chats = page.xpath("//a[starts-with(@href, 'https://wa.me/212612345678?text=')]")
    mails = page.xpath("//a[starts-with(@href, 'mailto:nour@nour.example?subject=')]")
    assert (len(page.xpath("//article")), len(chats), len(mails)) == (2, 1, 1)
    assert app.store.report_links.list_recent(NOW, association="bare")
    before = app.store.follow_ups.list_follow_ups("nour")
    [sent_url] = page.xpath("//article[1]//form/@action")
    for is_sent, kinds in (("true", ["wrote"]), ("false", [])):
        response = client.post(sent_url, data={"is_sent": is_sent})
        assert response.headers["location"] == f"{location.partition('#')[0]}#message-0"
        assert get_text(client, location).count(">Envoyé<") == len(kinds)
        noted = app.store.follow_ups.list_follow_ups("nour")
        assert [one.kind for one in noted[: len(noted) - len(before)]] == kinds


def test_report_links_of_a_selection_are_a_spreadsheet(app, client):
    response = client.post("/fr/associations", data={"action": "report_links", "id": ["x1"]})
    assert "report_links" in response.headers["content-disposition"]
    assert app.store.report_links.list_recent(NOW, association="x1")
