"""The page of an association and the evidence page."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from auditor.checking import checker, shared_bodies
from auditor.runs.run import execute_run
from probes.models.finding import FoundLink, Reason
from probes.models.http import PageRequest, build_body_url
from probes.models.probe import absent_finding, present_finding
from probes.witnesses import (
    WIKIDATA_SOURCE,
    ArchiveCapture,
    WikidataStatement,
    WitnessAnswer,
    WitnessSource,
)
from storage.models.audit import (
    Association,
    AssociationEntry,
    Contact,
    Decision,
    DecisionKind,
    Gap,
    WitnessRecord,
)
from tests.support.mini_network import START, link, lived, night_of, register, steps
from tests.support.web_server import logged_in_client

NOW = night_of(3) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")
HOSTILE = "<b>Nour</b> \u202e & " + "جمعية" * 40


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


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


def get_page(client, path):
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.text


def get_account_id(app, typed):
    return next(row.id for row in app.store.list_accounts() if row.typed_text == typed)


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
async def test_each_account_links_to_its_evidence(app, language):
    with logged_in_client(app, NOW) as client:
        text = get_page(client, f"/{language}/associations/nour")
    for row in (NOUR, SITE):
        assert (
            f'href="/{language}/associations/nour/accounts/{get_account_id(app, row.typed_text)}"'
            in text
        )


@pytest.mark.parametrize(
    "path", ["/fr/", "/fr/gaps", "/fr/associations", "/fr/associations/nour", "/fr/meeting"]
)
async def test_gap_of_an_unknown_kind_breaks_no_page(app, path):
    await execute_run(app, night_of(4))
    old = Gap("nour", "facebook", "retired_rule", "high", START, 3, START)
    app.store.save_conclusions(gaps=[old])
    with logged_in_client(app, NOW + timedelta(days=1)) as client:
        assert client.get(path).status_code == 200


async def test_timeline_tooltip_has_no_markup(app):
    with logged_in_client(app, NOW) as client:
        text = get_page(client, "/en/associations/nour")
    assert 'title="absent: ' in text
    assert "&lt;bdi&gt;" not in text


async def test_unconfirmed_absence_unknown_result_and_status_are_shown_separately(app):
    with logged_in_client(app, NOW) as client:
        text = get_page(client, "/en/associations/nour")
    assert "Missing in <bdi>2</bdi> checks since" in text
    assert "we couldn’t check it: <bdi>the platform asks visitors to sign in</bdi>" in text
    assert "Last confirmed on <bdi>3 March 2026</bdi>" in text


async def test_timeline_has_a_link_to_the_evidence_of_each_run(app):
    with logged_in_client(app, NOW) as client:
        text = get_page(client, "/en/associations/nour")
        assert f'accounts/{get_account_id(app, NOUR.typed_text)}?run=2026-03-04"' in text
        assert text.count('class="present"') == 5
        assert text.count('class="absent"') == 2
        assert text.count('class="unknown"') == 1


async def test_ignored_gap_is_shown_with_its_decision(app):
    decision = Decision("nour", "youtube", DecisionKind.WAIVE, "Amina", "no videos yet", START)
    app.store.add_decision(decision)
    with logged_in_client(app, NOW) as client:
        text = get_page(client, "/en/associations/nour")
    assert "1 ignored problem" in text.replace("<bdi>1</bdi>", "1")
    assert "no videos yet" in text


async def test_evidence_page_shows_address_status_title_and_text(app):
    with logged_in_client(app, NOW) as client:
        text = get_page(
            client,
            f"/en/associations/nour/accounts/{get_account_id(app, SITE.typed_text)}?run=2026-03-02",
        )
    assert "nour.example" in text
    assert "Nour of Agadir" in text
    assert "Our news" in text
    assert "<code>200</code>" in text


def parked_steps(account, keyed=()):
    page = yield PageRequest(account.identity.canonical, is_registered_link=True)
    facts = {"service": "Blocking: Asia", "model_words": "domain, للبيع", "title": "For sale"}
    return replace(absent_finding(page, Reason.PARKED), facts=facts)


async def test_evidence_page_translates_what_a_fingerprint_found(app, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", parked_steps)
    await execute_run(app, night_of(4))
    with logged_in_client(app, NOW + timedelta(days=1)) as client:
        text = get_page(
            client, f"/fr/associations/nour/accounts/{get_account_id(app, SITE.typed_text)}"
        )
    assert "Page affichée par</dt><dd><bdi>un filtre qui bloque le site</bdi>" in text
    words = "<bdi>domain</bdi> · <bdi>للبيع</bdi>"
    assert f"Mots de la page qui ont le plus compté</dt><dd>{words}</dd>" in text
    assert "<code>title</code>" in text
    assert "<code>service</code>" not in text


def suspicious_steps(account, keyed=()):
    page = yield PageRequest(account.identity.canonical, is_registered_link=True)
    yield PageRequest(build_body_url("ab" * 32))
    return absent_finding(page, Reason.PARKED)


async def test_evidence_page_shows_on_how_many_unrelated_websites_a_page_is(app, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", suspicious_steps)
    monkeypatch.setattr(shared_bodies, "count_unrelated_domains", lambda _: 4)
    await execute_run(app, night_of(4))
    with logged_in_client(app, NOW + timedelta(days=1)) as client:
        text = get_page(
            client, f"/fr/associations/nour/accounts/{get_account_id(app, SITE.typed_text)}"
        )
    assert "Sites sans lien entre eux avec la même page (au moins)</dt><dd>4</dd>" in text


def save_witness(app, typed, source, answer):
    record = WitnessRecord(get_account_id(app, typed), source, START, answer)
    app.store.save_witness_record(record)


async def test_evidence_page_shows_what_third_parties_say(app):
    capture = ArchiveCapture(
        datetime(2014, 3, 12, tzinfo=UTC), "https://web.archive.org/web/2014/https://x.example/"
    )
    named = FoundLink(
        "facebook", "u:nour", NOUR.typed_text, WIKIDATA_SOURCE, "https://www.wikidata.org/wiki/Q42"
    )
    statement = WikidataStatement(named, "Q42", date(2024, 3, 1))
    save_witness(
        app, SITE.typed_text, WitnessSource.WIKIDATA, WitnessAnswer(statements=(statement,))
    )
    save_witness(
        app, NOUR.typed_text, WitnessSource.WEB_ARCHIVE, WitnessAnswer(first_capture=capture)
    )
    account_id = get_account_id(app, NOUR.typed_text)
    with logged_in_client(app, NOW) as client:
        evidence = get_page(client, f"/en/associations/nour/accounts/{account_id}")
        association = get_page(client, "/en/associations/nour")
    for text in (evidence, association):
        assert "12 March 2014" in text
        assert capture.url in text
        assert "Q42" in text
        assert "source read on 1 March 2024" in re.sub(r"<[^>]+>", "", text)
    assert "This changes no conclusion, because third parties may be wrong." in evidence


async def test_evidence_page_shows_the_newest_run_and_links_to_earlier_ones(app):
    account = get_account_id(app, NOUR.typed_text)
    with logged_in_client(app, NOW) as client:
        text = get_page(client, f"/en/associations/nour/accounts/{account}")
    assert "Check of <bdi>4 March 2026</bdi>" in text
    assert "more failed check" in text
    for day in (1, 2, 3, 4):
        assert f"accounts/{account}?run=2026-03-0{day}" in text


async def test_evidence_page_says_that_a_pruned_body_is_not_stored(app, tmp_path):
    for file in (tmp_path / "archive").rglob("*.gz"):
        file.unlink()
    with logged_in_client(app, NOW) as client:
        text = get_page(
            client, f"/en/associations/nour/accounts/{get_account_id(app, SITE.typed_text)}"
        )
    assert "no longer kept" in text


async def test_unknown_association_account_or_run_returns_404(app):
    nour = get_account_id(app, NOUR.typed_text)
    with logged_in_client(app, NOW) as client:
        for path in (
            "/en/associations/nobody",
            f"/en/associations/amal/accounts/{nour}",
            "/en/associations/nour/accounts/999",
            f"/en/associations/nour/accounts/{nour}?run=2025-01-01",
        ):
            assert client.get(path).status_code == 404, path


async def test_markup_in_registry_values_is_escaped(app):
    contact = Contact("a@b.ma?bcc=x", "<u>+212 5</u>", note="<script>1</script>")
    hostile = AssociationEntry(Association("n/o <i>", HOSTILE), contact)
    app.store.save_registry([hostile], [link(hostile.id, "facebook", "nour")], NOW)
    with logged_in_client(app, NOW) as client:
        text = get_page(client, "/ar/associations/n%2Fo%20%3Ci%3E")
    assert "<b>Nour" not in text
    assert "<script>1" not in text
    assert "<u>" not in text
    assert "&lt;b&gt;Nour&lt;/b&gt;" in text


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("Page introuvable", "<blockquote><bdi>Page introuvable</bdi></blockquote>"),
        ("no channel data", '<code lang="en" dir="ltr">no channel data</code>'),
    ],
)
async def test_page_text_is_quoted_and_a_probe_note_is_a_technical_detail(
    app, monkeypatch, detail, expected
):
    def noting(account, keyed=()):
        get_page = yield PageRequest(account.identity.canonical, is_registered_link=True)
        return absent_finding(get_page, Reason.NOT_FOUND, detail=detail)

    app.web.answers = {SITE.typed_text: "<title>Oups</title><p>Page introuvable</p>"}
    monkeypatch.setattr(checker, "create_probe", noting)
    await execute_run(app, night_of(4))
    later = night_of(4) + timedelta(hours=8)
    with logged_in_client(app, later) as client:
        client.post("/fr/associations/nour/checks")
        association_page = get_page(client, "/fr/associations/nour")
        text = get_page(
            client, f"/fr/associations/nour/accounts/{get_account_id(app, SITE.typed_text)}"
        )
    assert expected in text
    assert expected in association_page


async def test_markup_in_a_checked_page_is_escaped(app):
    title, text = "&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;b&gt;bold&lt;/b&gt;"
    app.web.answers = {SITE.typed_text: f"<title>{title}</title><p>{text}</p>"}
    await execute_run(app, night_of(4))
    with logged_in_client(app, night_of(4) + timedelta(hours=8)) as client:
        text = get_page(
            client, f"/fr/associations/nour/accounts/{get_account_id(app, SITE.typed_text)}"
        )
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in text
    assert "<b>bold" not in text


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("en", "from a post that the website links to, there may be newer ones"),
        ("fr", "d’après une publication vers laquelle le site renvoie"),
        ("ar", "حسب منشور يحيل إليه الموقع"),
    ],
)
async def test_pages_name_the_linked_post_as_the_source_of_a_date(
    app, monkeypatch, language, source
):
    def link_post(account, keyed=()):
        page = yield PageRequest(account.identity.canonical, is_registered_link=True)
        facts = {"viewport": True, "linked_posts": "twitter:u:nour=2026-03-04T10:00:00Z"}
        return present_finding(page, facts=facts if account.channel == "website" else {})

    x_account = link("nour", "twitter", "nour")
    register(app, NOUR, SITE, x_account)
    monkeypatch.setattr(checker, "create_probe", link_post)
    app.web.answers = {}
    await execute_run(app, night_of(4))
    path = f"/{language}/associations/nour"
    with logged_in_client(app, night_of(4) + timedelta(hours=8)) as client:
        association_page = get_page(client, path)
        why_page = get_page(client, f"{path}/accounts/{get_account_id(app, x_account.typed_text)}")
    assert source in association_page
    assert source in why_page
