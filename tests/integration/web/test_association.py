"""The page of an association and the evidence page."""

import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import unquote

import pytest
from lxml import html

from auditor.checking import checker
from auditor.runs.run import execute_run
from probes.models.finding import Reason
from probes.models.http import PageRequest
from probes.models.probe import absent_finding
from storage.conclusions import Conclusions
from storage.models.audit import Association, AssociationEntry, Contact, Gap
from tests.support.mini_network import START, link, lived, night_of, register
from tests.support.web_server import find_missing, get_text, logged_in_client

NOW = night_of(3) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")
PAGE = "/en/associations/nour"
CONFIRM_SITE = ("confirm", "website")
ENTRY = AssociationEntry(
    Association("nour", "Nour", name_ar="النور", language="en"),
    Contact("a@nour.example", "06 12 34 56 78"),
)


@lived
async def app(network):
    """Four runs: the Facebook page is gone in the last two, the website unknown in the last."""
    register(network, NOUR, SITE, link("amal", "facebook", "amal"))
    for day in range(4):
        network.web.answers = {
            NOUR.typed_text: "gone" if day > 1 else "alive",
            SITE.typed_text: "wall" if day == 3 else "<title>Nour of Agadir</title><p>Our news</p>",
        }
        await execute_run(network, night_of(day))


def get_tree(client, path=PAGE):
    return html.fromstring(get_text(client, path))


def read(tree, xpath="//main"):
    return " ".join(" ".join(tree.xpath(f"{xpath}//text()")).split())


def evidence_path(app, account, language="en"):
    accounts = app.store.registry.list_accounts(account.association)
    row = next(row for row in accounts if row.typed_text == account.typed_text)
    return f"/{language}/associations/{account.association}/accounts/{row.id}"


def save_gaps(app, *gaps):
    app.store.conclusions.save(
        Conclusions(gaps=[Gap("nour", *gap, START, 3, START) for gap in gaps])
    )


@pytest.mark.parametrize("page", ["", "gaps", "associations", "associations/nour", "meeting"])
def test_gap_of_an_unknown_kind_breaks_no_page(app, client, page):
    save_gaps(app, ("facebook", "retired_rule", "high"))
    get_tree(client, f"/fr/{page}")


@pytest.mark.smoke
def test_each_channel_has_its_status_reason_strip_and_evidence(app, client):
    tree = get_tree(client)
    rows = [row.get("id") for row in tree.xpath('//ul[@class="channel-rows"]/li')]
    assert rows == ["channel-website", "channel-facebook", "channel-youtube"]
    site, facebook, youtube = (read(tree, f'//li[@id="{row}"]') for row in rows)
    assert (
        find_missing(
            site,
            "present since 1 Mar",
            "couldn’t check it: the platform asks visitors to sign in",
            "Last confirmed on 3 March 2026",
            "Latest checks: present 3, absent or broken 0, without a result 1",
        )
        == []
    )
    assert "Missing in 2 checks since" in facebook
    assert "none known" in youtube
    assert {evidence_path(app, one) for one in (NOUR, SITE)} <= set(tree.xpath("//a/@href"))


def test_account_can_be_confirmed_where_it_is_shown_and_the_decision_cancelled(app, client):
    for path in (PAGE, evidence_path(app, SITE)):
        forms = [form.fields for form in get_tree(client, path).forms]
        [fields] = [one for one in forms if (one.get("kind"), one.get("channel")) == CONFIRM_SITE]
        assert {"reason", "last_activity", "until"} <= set(fields)
    form = {**fields, "reason": "opened it at the office"}
    response = client.post(f"{PAGE}/decisions", data=form)
    page = get_tree(client, response.headers["location"])
    assert "Decision saved." in read(page, '//*[@id="message"]')
    row = read(page, '//li[@id="channel-website"]')
    for text in (row, read(get_tree(client, evidence_path(app, SITE)))):
        assert (
            find_missing(text, "opened it at the office", "decided by hand until 4 March 2027")
            == []
        )
    assert page.xpath('//li[@id="channel-website"]//a[contains(@href, "kind=withdraw")]')


def test_coordinator_can_call_write_and_note_from_the_head(app, client):
    app.store.registry.save_registry([ENTRY], [NOUR, SITE], NOW)
    [head] = get_tree(client).xpath('//header[@class="association"]')
    links = head.xpath(".//a[@role='button']/@href")
    assert [links[0], *links[2:4]] == ["tel:+212612345678", "mailto:a@nour.example", "#follow-ups"]
    assert links[1].startswith("https://wa.me/212612345678?text=Hello%20Nour%2C")
    assert client.get("/en/associations/nour/whatsapp").headers["location"] == links[1]
    assert "YouTube" in unquote(links[1])
    assert "http" not in unquote(links[1].partition("text=")[2])
    assert "النور" in read(head, ".")


def test_association_registered_after_the_newest_check_is_not_called_fine(app, client):
    register(app, NOUR, SITE, link("new", "twitter", "new"))
    text = read(get_tree(client, "/en/associations/new"))
    assert (
        find_missing(
            text,
            "Not checked yet. The first check starts on 5 March 2026 at",
            "The level appears after the first check.",
        )
        == []
    )
    assert "not checked yet" in text.partition("X (Twitter)")[2]
    assert ("No problems" in text, "out of 100" in text) == (False, False)
    grid = get_tree(client, "/en/associations?q=new")
    problem = read(grid, "//tr[@id='row-new']/td[starts-with(@class, 'problem')]")
    assert problem.strip() == "not checked yet"
    assert not get_tree(client, "/en/associations?gap_kind=none").xpath("//tr[@id='row-new']")


def test_problems_are_folded_by_kind_and_only_broken_ones_are_open(app, client):
    broken = ("website", "website_domain_lost", "urgent")
    save_gaps(app, broken, ("facebook", "name_mismatch", "low"))
    [lost] = [gap for gap in app.store.conclusions.list_gaps("nour") if gap.code == broken[1]]
    app.store.completed_steps.save(lost, {1}, NOW)
    groups = get_tree(client).xpath('//section[h2/@id="problems"]/details[@class]')
    assert [(group.get("class"), group.get("open") is not None) for group in groups] == [
        ("problems broken", True),
        ("problems improve", False),
        ("problems no_account", False),
    ]
    text = read(groups[0], ".")
    assert "Its website’s domain name no longer exists" in text
    assert "Steps done: 1/" in text.partition("since 1 March 2026")[2]
    assert "To improve 1 Different name on Facebook" in read(groups[1], "./summary")


def test_equal_checks_are_one_line_on_the_evidence_page(app, client):
    tree = get_tree(client, evidence_path(app, NOUR))
    assert "Check of 4 March 2026" in read(tree)
    texts = [read(line, ".") for line in tree.xpath('//section[h2/@id="checks"]/ol/li')]
    assert [text.partition(" ·")[0] for text in texts] == [
        "3 March 2026 to 4 March 2026",
        "1 March 2026 to 2 March 2026",
    ]
    assert "2 checks with this result" in texts[0]
    assert "absent page not found" in texts[0]


@pytest.mark.smoke
def test_evidence_page_shows_the_page_of_a_run_until_it_is_pruned(app, client, tmp_path):
    path = evidence_path(app, SITE)
    text = read(get_tree(client, f"{path}?run=2026-03-02"))
    assert all(word in text for word in ("nour.example", "200", "Nour of Agadir", "Our news"))
    for file in (tmp_path / "archive").rglob("*.gz"):
        file.unlink()
    assert "no longer kept" in read(get_tree(client, path))


async def get_evidence(app, monkeypatch, account, answer, probe=None):
    """Return the French evidence page of an account after another run."""
    app.web.answers = {account.typed_text: answer}
    if probe:
        monkeypatch.setattr(checker, "create_probe", probe)
    await execute_run(app, night_of(4))
    with logged_in_client(app, night_of(4) + timedelta(hours=8)) as client:
        return client.get(evidence_path(app, account, "fr")).text


async def test_evidence_page_translates_what_a_fingerprint_found(app, monkeypatch):
    def parked(account, keyed=()):
        page = yield PageRequest(account.identity.canonical, is_registered_link=True)
        facts = {"service": "Blocking: Asia", "model_words": "domain, للبيع", "title": "For sale"}
        return replace(absent_finding(page, Reason.PARKED), followers=1234, facts=facts)

    text = await get_evidence(app, monkeypatch, SITE, "", parked)
    assert "Page affichée par</dt><dd><bdi>un filtre qui bloque le site</bdi>" in text
    words = "<bdi>domain</bdi> · <bdi>للبيع</bdi>"
    assert (
        find_missing(
            text,
            f"Mots de la page qui ont le plus compté</dt><dd>{words}</dd>",
            "Abonnés</dt><dd>1234</dd>",
        )
        == []
    )
    assert ("<code>title</code>" in text, "<code>service</code>" in text) == (True, False)


@pytest.mark.parametrize(
    "page", ["nobody", "amal/accounts/1", "nour/accounts/999", "nour/accounts/1?run=2025-01-01"]
)
def test_unknown_association_account_or_run_returns_404(client, page):
    assert client.get(f"/en/associations/{page}").status_code == 404


def test_markup_in_registry_values_is_escaped(app, client):
    contact = Contact("a@b.ma?bcc=x", "<u>+212 5</u>", note="<script>1</script>")
    hostile = AssociationEntry(Association("n/o <i>", "<b>Nour</b> \u202e & "), contact)
    app.store.registry.save_registry([hostile], [link(hostile.id, "facebook", "nour")], NOW)
    text = get_text(client, "/ar/associations/n%2Fo%20%3Ci%3E", "&lt;b&gt;Nour&lt;/b&gt;")
    assert not [markup for markup in ("<b>Nour", "<script>1", "<u>") if markup in text]


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("Page introuvable", r"<blockquote><bdi>Page introuvable</bdi></blockquote>"),
        (
            "no channel data",
            r'(?s)Détails techniques.*<code lang="en" dir="ltr">no channel data</code>',
        ),
    ],
)
async def test_page_text_is_quoted_and_a_probe_note_is_a_technical_detail(
    app, monkeypatch, detail, expected
):
    def noting(account, keyed=()):
        page = yield PageRequest(account.identity.canonical, is_registered_link=True)
        return absent_finding(page, Reason.NOT_FOUND, detail=detail)

    answer = "<title>Oups</title><p>Page introuvable</p>"
    assert re.search(expected, await get_evidence(app, monkeypatch, SITE, answer, noting))


async def test_markup_in_a_checked_page_is_escaped(app, monkeypatch):
    site = link("amal", "website", "amal")  # checked for the first time, so its page is shown
    register(app, NOUR, SITE, link("amal", "facebook", "amal"), site)
    answer = "<title>&lt;script&gt;alert(1)</title><p>&lt;b&gt;bold&lt;/b&gt;</p>"
    page = await get_evidence(app, monkeypatch, site, answer)
    assert find_missing(page, "&lt;script&gt;alert(1)", "&lt;b&gt;bold") == []
    assert ("<script" in page, "<b>bold" in page) == (False, False)
