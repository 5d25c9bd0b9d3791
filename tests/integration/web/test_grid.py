"""The grid of associations: cells, chips, search, the way back, and actions on a selection."""

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from lxml import html

from storage.models.users import Role
from tests.support import sample_network
from tests.support.web_server import logged_in_client

NOW = sample_network.NOW


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    app = sample_network.played(tmp_path_factory.mktemp("grid"))
    yield app
    app.store.close()


@pytest.fixture
def client(app):
    with logged_in_client(app, NOW) as browser:
        yield browser


def get_page(client, path):
    response = client.get(path)
    assert response.status_code == 200, response.text
    return html.fromstring(response.text)


def list_row_ids(page):
    return [row.get("id").removeprefix("row-") for row in page.xpath("//tbody/tr[@id]")]


def find_row(page, association):
    [row] = page.xpath(f"//tr[@id='row-{association}']")
    return row


def read_text(element):
    return " ".join(element.text_content().split())


def find_chips(page):
    """Return the chips as (label with count, address, is chosen)."""
    return [
        (read_text(chip), chip.get("href"), chip.get("aria-current") == "true")
        for chip in page.xpath("//nav[@class='grid-chips']/a")
    ]


def test_each_cell_has_a_status_a_date_and_a_strip(client):
    row = find_row(get_page(client, "/en/associations"), "nour")
    cells = {
        read_text(cell.find(".//span")): cell
        for cell in row.xpath("td[.//svg and not(@class='row-acts')]")
    }
    names = [name.partition(":")[0] for name in cells]
    assert names[:5] == ["Website", "Facebook", "X (Twitter)", "LinkedIn", "YouTube"]
    assert cells["Website: present"].xpath(".//svg[contains(@class, 'strip')]/path/@class") == [
        "present"
    ]
    assert read_text(cells["Facebook: present"].find(".//b")) == "3 days"
    assert read_text(cells["YouTube: broken"].find(".//b")) != ""


def test_cell_that_could_not_be_checked_says_why_and_leads_to_the_evidence(client):
    row = find_row(get_page(client, "/en/associations"), "nour")
    [link] = row.xpath("td[contains(@class, 'unknown')]/a")
    reason = "the platform asks visitors to sign in"
    assert link.get("title") == f"LinkedIn: could not be checked ({reason})"
    evidence = get_page(client, link.get("href"))
    assert "LinkedIn" in read_text(evidence)


def test_row_has_place_problem_and_actions(client):
    row = find_row(get_page(client, "/fr/associations"), "nour")
    assert "Agadir · Souss-Massa" in read_text(row)
    addresses = row.xpath("td[@class='row-acts']/a/@href")
    assert addresses == ["tel:+212612345678", "https://wa.me/212612345678", "/fr/report-links/nour"]


def test_problem_is_the_one_of_the_filtered_channel(client):
    page = get_page(client, "/en/associations?channel=youtube&state=none")
    problem = find_row(page, "x0").xpath("td[starts-with(@class, 'problem')]")[0]
    assert read_text(problem).startswith("No YouTube channel")
    assert page.xpath("//th[@class='chosen']/a")[0].text_content().startswith("YouTube")


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
@pytest.mark.parametrize(
    "query", ["", "?region=souss-massa", "?q=num", "?tag=rabat&region=oriental", "?level=start"]
)
def test_every_chip_leads_to_as_many_associations_as_it_says(client, language, query):
    page = get_page(client, f"/{language}/associations{query}")
    chips = find_chips(page)
    assert chips[0][2], "no filter: the first chip is chosen"
    assert len(chips) > 5
    for label, address, _ in chips:
        count = int(label.rpartition(" ")[2])
        assert len(list_row_ids(get_page(client, address))) == count, (label, address)


def test_first_chip_counts_the_list_of_the_chosen_channel(client):
    page = get_page(client, "/en/associations?channel=facebook&gap_kind=no_account")
    label, address, _ = find_chips(page)[0]
    assert address == "/en/associations?channel=facebook"
    assert label == f"All {len(list_row_ids(get_page(client, address)))}"


def test_reason_can_be_removed_and_its_status_is_a_chosen_chip(client):
    page = get_page(client, "/en/associations?channel=facebook&state=unknown&reason=login_wall")
    [chosen] = [chip for chip in find_chips(page) if chip[2]]
    assert (chosen[0].split()[0], chosen[1]) == ("Could", "/en/associations?channel=facebook")
    addresses = [link.get("href") for link in page.xpath("//p[@class='chips']/a")]
    assert "/en/associations?channel=facebook&state=unknown" in addresses


def test_chosen_chip_removes_its_filter(client):
    page = get_page(client, "/en/associations?region=souss-massa&gap_kind=broken")
    [chosen] = [chip for chip in find_chips(page) if chip[2]]
    assert chosen[0].startswith("Broken now")
    assert chosen[1] == "/en/associations?region=souss-massa"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Tiznit", ["bare"]),
        ("تيزنيت", ["bare"]),
        ("agadir", ["nour"]),
        ("oriental", ["amal"]),
        ("النور", ["long", "nour"]),
        ("للنور", ["long", "nour"]),
    ],
)
def test_search_finds_names_towns_and_regions(client, text, found):
    page = get_page(client, f"/fr/associations?q={text}&sort=name")
    assert sorted(list_row_ids(page)) == found


def test_empty_result_gives_advice_and_a_way_out(client):
    page = get_page(client, "/en/associations?q=xyzzy")
    assert "No association matches “xyzzy”. Check the spelling" in read_text(page)
    assert page.xpath("//a[text()='Show all associations']/@href") == ["/en/associations"]
    page = get_page(client, "/en/associations?region=oriental&gap_kind=silent&channel=youtube")
    assert "No association matches these filters. Remove a filter." in read_text(page)


def test_association_leads_back_to_the_same_filter_and_row(client):
    page = get_page(client, "/en/associations?region=souss-massa&sort=name")
    address = find_row(page, "nour").xpath("th/a/@href")[0]
    back = get_page(client, address).xpath("//a[@class='back']/@href")[0]
    parts = urlsplit(back)
    assert (parts.path, parts.fragment) == ("/en/associations", "row-nour")
    assert parse_qs(parts.query) == {"region": ["souss-massa"], "sort": ["name"]}


def test_way_back_survives_evidence_decisions_and_notes(client):
    address = "/en/associations/nour?" + urlencode({"back": "region=souss-massa&sort=name"})
    page = get_page(client, address)
    list_url = "/en/associations?region=souss-massa&sort=name#row-nour"
    details = [
        next(url for url in page.xpath("//main//a/@href") if part in url)
        for part in ("/accounts/", "/decisions?kind=moved", "/decisions?kind=claim")
    ]
    for detail in details:
        back = get_page(client, detail).xpath("//a[@class='back']/@href")[0]
        assert get_page(client, back).xpath("//a[@class='back']/@href") == [list_url]
    [form] = page.xpath("//form[@class='follow-up']")
    data = {"kind": "note", "text": "seen"}
    answer = client.post(form.get("action"), data=data, follow_redirects=True)
    assert html.fromstring(answer.text).xpath("//a[@class='back']/@href") == [list_url]


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "x=1&next=//evil.example"]
)
def test_way_back_leads_nowhere_else(client, back):
    page = client.get("/en/associations/nour", params={"back": back}).text
    assert html.fromstring(page).xpath("//a[@class='back']/@href") == ["/en/associations#row-nour"]


def test_heads_of_columns_sort_and_filter(client):
    page = get_page(client, "/en/associations?region=souss-massa")
    links = {read_text(link): link.get("href") for link in page.xpath("//thead//a")}
    assert links["Name"] == "/en/associations?region=souss-massa&sort=name"
    assert links["Latest change"] == "/en/associations?region=souss-massa&sort=changed"
    assert links["Facebook"] == "/en/associations?region=souss-massa&channel=facebook"
    by_name = get_page(client, links["Name"])
    assert by_name.xpath("//th[@aria-sort='ascending']//a/text()")[0] == "Name"


def test_reader_sees_the_grid_without_contacts_and_selection(app):
    with logged_in_client(app, NOW, name="Reda", role=Role.READER) as client:
        page = get_page(client, "/en/associations")
        assert (
            client.post("/en/associations", data={"action": "export", "id": "nour"}).status_code
            == 403
        )
    assert not page.xpath("//input[@type='checkbox']")
    assert not page.xpath("//a[starts-with(@href, 'tel:')]")


def test_coordinator_of_a_region_selects_only_there(app):
    user = {"name": "Salma", "role": Role.COORDINATOR, "regions": ("oriental",)}
    with logged_in_client(app, NOW, **user) as client:
        page = get_page(client, "/en/associations")
        assert page.xpath("//input[@name='id']/@value") == ["amal"]
        response = client.post(
            "/en/associations", data={"action": "export", "id": ["amal", "nour"]}
        )
    assert response.status_code == 403


def test_selection_is_exported(client):
    response = client.post("/en/associations", data={"action": "export", "id": ["nour", "amal"]})
    assert response.status_code == 200
    assert "spreadsheetml" in response.headers["content-type"]


def test_tag_is_added_and_logged(app, client):
    data = {"action": "tag", "id": ["nour", "bare"], "tag": " to visit "}
    response = client.post("/en/associations", data=data)
    assert response.headers["location"] == "/en/associations?tag=to+visit&tagged=2"
    page = get_page(client, response.headers["location"])
    assert sorted(list_row_ids(page)) == ["bare", "nour"]
    assert "Tag added to 2 associations." in read_text(page)
    entry = app.store.registry.get_association_entry("nour")
    assert entry.association.tags == ("rabat", "badge", "to visit")
    assert entry.contact.phone == "06 12 34 56 78"
    assert len(list(app.store.registry.list_accounts("nour"))) == 5
    log = [
        item
        for item in app.store.audit_log.list_audit_log(association="nour")
        if item.field == "tags"
    ]
    assert (log[0].author, log[0].source) == ("Amina", "web")


@pytest.mark.parametrize("data", [{"action": "export"}, {"action": "tag", "id": "nour"}])
def test_incomplete_selection_shows_the_list_again(client, data):
    response = client.post("/en/associations", data={**data, "back": "region=souss-massa"})
    assert response.status_code == 303
    assert response.headers["location"] == "/en/associations?region=souss-massa#list"


def test_messages_of_a_selection_have_links_and_texts(app, client):
    response = client.post("/fr/associations", data={"action": "messages", "id": ["nour", "bare"]})
    assert response.status_code == 200, response.text
    page = html.fromstring(response.text)
    assert len(page.xpath("//article")) == 2
    chats = page.xpath("//a[starts-with(@href, 'https://wa.me/212612345678?text=')]")
    mails = page.xpath("//a[starts-with(@href, 'mailto:nour@nour.example?subject=')]")
    assert (len(chats), len(mails)) == (1, 1)
    assert app.store.report_links.list_recent(NOW, association="bare")


def test_report_links_of_a_selection_are_a_spreadsheet(app, client):
    response = client.post("/fr/associations", data={"action": "report_links", "id": ["x1"]})
    assert "report_links" in response.headers["content-disposition"]
    response.read()
    assert app.store.report_links.list_recent(NOW, association="x1")


def test_regions_are_sorted_by_who_needs_help(client):
    page = get_page(client, "/en/groups")
    rows = page.xpath("//table[@class='needs']/tbody/tr")
    broken = [int(read_text(row.xpath("td")[1])) for row in rows]
    assert broken == sorted(broken, reverse=True)
    address = rows[0].xpath("td[2]/a/@href")[0]
    assert len(list_row_ids(get_page(client, address))) == broken[0]
    charts = page.xpath("//table[contains(@class, 'bars')]")
    assert charts
    assert all(chart.getparent().tag == "details" for chart in charts)


def test_page_of_the_grid_needs_no_script(client):
    text = client.get("/en/associations").text
    assert len(re.findall("<script", text)) == 1
    assert "defer></script>" in text
    script = client.get(re.search(r'src="([^"]+grid\.js[^"]*)"', text)[1])
    assert script.status_code == 200
    assert len(script.content) < 10_000
