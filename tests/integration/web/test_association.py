"""The coordinator's page of one association, and the page that says why, on a real server."""

from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.runs.run import execute_run
from probes.models.finding import Reason
from probes.models.http import PageRequest
from probes.models.probe import absent_finding
from storage.models.audit import Association, AssociationEntry, Contact, Decision, DecisionKind, Gap
from tests.support.mini_network import START, link, lived, night_of, register, steps
from tests.support.web_server import logged_in_client

NOW = night_of(3) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")
HOSTILE = "<b>Nour</b> \u202e & " + "جمعية" * 40


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)


@lived
async def app(small):
    """Nour has four nights: its Facebook page goes missing on the last two, its site is walled at last."""
    register(small, NOUR, SITE, link("amal", "facebook", "amal"))
    for day in range(4):
        small.web.answers = {
            NOUR.typed_text: "gone" if day > 1 else "alive",
            SITE.typed_text: "wall" if day == 3 else "<title>Nour of Agadir</title><p>Our news</p>",
        }
        await execute_run(small, night_of(day))


def page(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def number(app, typed):
    return next(row.id for row in app.store.list_accounts() if row.typed_text == typed)


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
async def test_each_account_links_to_its_evidence(app, language):
    with logged_in_client(app, NOW) as client:
        told = page(client, f"/{language}/associations/nour")
    for row in (NOUR, SITE):
        assert (
            f'href="/{language}/associations/nour/accounts/{number(app, row.typed_text)}"' in told
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
        told = page(client, "/en/associations/nour")
    assert 'title="absent: ' in told
    assert "&lt;bdi&gt;" not in told


async def test_unconfirmed_absence_unknown_result_and_status_are_shown_separately(app):
    with logged_in_client(app, NOW) as client:
        told = page(client, "/en/associations/nour")
    assert "Missing in <bdi>2</bdi> checks since" in told
    assert "we couldn’t check it: <bdi>the platform asks visitors to sign in</bdi>" in told
    assert "Last confirmed on <bdi>3 March 2026</bdi>" in told


async def test_timeline_has_a_link_to_the_evidence_of_each_run(app):
    with logged_in_client(app, NOW) as client:
        told = page(client, "/en/associations/nour")
        assert f'accounts/{number(app, NOUR.typed_text)}?run=2026-03-04"' in told
        assert told.count('class="present"') == 5
        assert told.count('class="absent"') == 2
        assert told.count('class="unknown"') == 1


async def test_ignored_gap_is_shown_with_its_decision(app):
    word = Decision("nour", "youtube", DecisionKind.WAIVE, "Amina", "no videos yet", START)
    app.store.add_decision(word)
    with logged_in_client(app, NOW) as client:
        told = page(client, "/en/associations/nour")
    assert "1 ignored problem" in told.replace("<bdi>1</bdi>", "1")
    assert "no videos yet" in told


async def test_evidence_page_shows_address_status_title_and_text(app):
    with logged_in_client(app, NOW) as client:
        told = page(
            client,
            f"/en/associations/nour/accounts/{number(app, SITE.typed_text)}?run=2026-03-02",
        )
    assert "nour.example" in told
    assert "Nour of Agadir" in told
    assert "Our news" in told
    assert "<code>200</code>" in told


async def test_evidence_page_shows_the_newest_run_and_links_to_earlier_ones(app):
    account = number(app, NOUR.typed_text)
    with logged_in_client(app, NOW) as client:
        told = page(client, f"/en/associations/nour/accounts/{account}")
    assert "Check of <bdi>4 March 2026</bdi>" in told
    assert "more failed check" in told
    for day in (1, 2, 3, 4):
        assert f"accounts/{account}?run=2026-03-0{day}" in told


async def test_evidence_page_says_that_a_pruned_body_is_not_stored(app, tmp_path):
    for file in (tmp_path / "archive").rglob("*.gz"):
        file.unlink()
    with logged_in_client(app, NOW) as client:
        told = page(client, f"/en/associations/nour/accounts/{number(app, SITE.typed_text)}")
    assert "no longer kept" in told


async def test_unknown_association_account_or_run_returns_404(app):
    nour = number(app, NOUR.typed_text)
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
        told = page(client, "/ar/associations/n%2Fo%20%3Ci%3E")
    assert "<b>Nour" not in told
    assert "<script>1" not in told
    assert "<u>" not in told
    assert "&lt;b&gt;Nour&lt;/b&gt;" in told


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        ("Page introuvable", "<blockquote><bdi>Page introuvable</bdi></blockquote>"),
        ("no channel data", '<code lang="en" dir="ltr">no channel data</code>'),
    ],
)
async def test_page_text_is_quoted_and_a_probe_note_is_a_technical_detail(
    app, monkeypatch, detail, shown
):
    def noting(account, keyed=()):
        page = yield PageRequest(account.identity.canonical, is_registered_link=True)
        return absent_finding(page, Reason.NOT_FOUND, detail=detail)

    app.web.answers = {SITE.typed_text: "<title>Oups</title><p>Page introuvable</p>"}
    monkeypatch.setattr(checker, "probe_steps_for", noting)
    await execute_run(app, night_of(4))
    later = night_of(4) + timedelta(hours=8)
    with logged_in_client(app, later) as client:
        client.post("/fr/associations/nour/checks")
        dossier = page(client, "/fr/associations/nour")
        told = page(client, f"/fr/associations/nour/accounts/{number(app, SITE.typed_text)}")
    assert shown in told
    assert shown in dossier


async def test_markup_in_a_checked_page_is_escaped(app):
    title, text = "&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;b&gt;bold&lt;/b&gt;"
    app.web.answers = {SITE.typed_text: f"<title>{title}</title><p>{text}</p>"}
    await execute_run(app, night_of(4))
    with logged_in_client(app, night_of(4) + timedelta(hours=8)) as client:
        told = page(client, f"/fr/associations/nour/accounts/{number(app, SITE.typed_text)}")
    assert "&lt;script&gt;alert(1)" in told
    assert "<script" not in told
    assert "<b>bold" not in told
