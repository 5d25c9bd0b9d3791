"""The page of an association and the evidence page."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import unquote

import pytest
from lxml import html

from auditor.checking import checker
from auditor.runs.run import execute_run
from probes.models.finding import Reason
from probes.models.http import PageRequest
from probes.models.probe import absent_finding, present_finding
from storage.conclusions import Conclusions
from storage.models.audit import Association, AssociationEntry, Contact, Decision, DecisionKind, Gap
from storage.models.users import FollowUpKind, ReplyKind, ReplyOutcome, Role
from storage.tables.communication import FollowUp, Reply
from tests.support.mini_network import START, link, lived, night_of, register, steps
from tests.support.stored import add_reply
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
    return next(row.id for row in app.store.registry.list_accounts() if row.typed_text == typed)


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
    app.store.conclusions.save(Conclusions(gaps=[old]))
    with logged_in_client(app, NOW + timedelta(days=1)) as client:
        assert client.get(path).status_code == 200


async def test_unconfirmed_absence_unknown_result_and_status_are_shown_separately(app):
    with logged_in_client(app, NOW) as client:
        text = get_page(client, "/en/associations/nour")
    assert "Missing in <bdi>2</bdi> checks since" in text
    assert "we couldn’t check it: <bdi>the platform asks visitors to sign in</bdi>" in text
    assert "Last confirmed on <bdi>3 March 2026</bdi>" in text


def get_tree(client, path):
    return html.fromstring(get_page(client, path))


def get_text_of(tree, xpath):
    return " ".join(" ".join(tree.xpath(f"{xpath}//text()")).split())


async def test_each_channel_has_its_status_reason_and_strip(app):
    with logged_in_client(app, NOW) as client:
        tree = get_tree(client, "/en/associations/nour")
    rows = [row.get("id") for row in tree.xpath('//ul[@class="channel-rows"]/li')]
    assert rows == ["channel-website", "channel-facebook", "channel-youtube"]
    site = get_text_of(tree, '//li[@id="channel-website"]')
    assert "present since 1 Mar" in site
    assert "couldn’t check it: the platform asks visitors to sign in" in site
    assert "Latest checks: 3 present, 0 absent, 1 without a result" in site
    facebook = get_text_of(tree, '//li[@id="channel-facebook"]')
    assert "Latest checks: 2 present, 2 absent, 0 without a result" in facebook
    assert "none known" in get_text_of(tree, '//li[@id="channel-youtube"]')


async def test_each_of_several_accounts_has_the_status_of_its_own_gaps(app):
    second = link("nour", "facebook", "second")
    register(app, NOUR, SITE, second)
    app.web.answers = {NOUR.typed_text: "alive"}
    for day in range(4, 8):
        await execute_run(app, night_of(day))
    gap = Gap(
        "nour", "facebook", "channel_stale", "medium", START, 3, START, subject=second.identity.key
    )
    app.store.conclusions.save(Conclusions(gaps=[gap]))
    with logged_in_client(app, NOW + timedelta(days=4)) as client:
        tree = get_tree(client, "/en/associations/nour")
    statuses = tree.xpath(
        "//li[@id='channel-facebook']//p[@class='address']//span[@class='unseen']"
    )
    assert sorted(status.text_content() for status in statuses) == ["present", "silent"]


async def test_account_of_a_channel_that_is_not_audited_is_shown(app):
    register(app, NOUR, SITE, link("nour", "twitter", "nour"))
    with logged_in_client(app, NOW) as client:
        tree = get_tree(client, "/en/associations/nour")
    assert "not checked yet" in get_text_of(tree, '//li[@id="channel-twitter"]')


async def test_account_can_be_confirmed_where_it_is_shown_and_the_decision_cancelled(app):
    account_id = get_account_id(app, SITE.typed_text)
    evidence_path = f"/en/associations/nour/accounts/{account_id}"
    with logged_in_client(app, NOW) as client:
        for path in ("/en/associations/nour", evidence_path):
            [form] = [
                form
                for form in get_tree(client, path).forms
                if form.fields.get("kind") == "confirm" and form.fields.get("channel") == "website"
            ]
            assert {"reason", "last_activity", "until"} <= set(form.fields)
        form.fields["reason"] = "opened it at the office"
        response = client.post(form.action, data=dict(form.fields))
        assert response.headers["location"].endswith("#channel-website")
        page = get_tree(client, response.headers["location"])
        evidence = get_tree(client, evidence_path)
    row = get_text_of(page, '//li[@id="channel-website"]')
    assert "Saved." in row
    for text in (row, get_text_of(evidence, "//main")):
        assert "opened it at the office" in text
        assert "decided by hand until 4 March 2027" in text
    assert page.xpath('//li[@id="channel-website"]//a[contains(@href, "kind=withdraw")]')


async def test_viewer_sees_the_state_but_no_contacts_and_no_forms(app):
    contact = Contact("a@nour.example", "06 12 34 56 78")
    app.store.registry.save_registry(
        [AssociationEntry(Association("nour", "Nour"), contact)], [NOUR, SITE], NOW
    )
    with logged_in_client(app, NOW, role=Role.READER) as client:
        page = get_page(client, "/en/associations/nour")
    assert "0612345678" not in page
    assert "a@nour.example" not in page
    assert 'method="post"' not in page.partition("<main")[2]
    assert "See the evidence" in page


async def test_coordinator_can_call_write_and_note_from_the_head(app):
    contact = Contact("a@nour.example", "06 12 34 56 78")
    entry = AssociationEntry(Association("nour", "Nour", name_ar="النور", language="en"), contact)
    app.store.registry.save_registry([entry], [NOUR, SITE], NOW)
    with logged_in_client(app, NOW) as client:
        tree = get_tree(client, "/en/associations/nour")
    [head] = tree.xpath('//header[@class="association"]')
    links = head.xpath(".//a[@role='button']/@href")
    assert links[0] == "tel:+212612345678"
    assert links[1].startswith("https://wa.me/212612345678?text=Hello%20Nour%2C")
    assert "YouTube" in unquote(links[1])
    assert "http" not in unquote(links[1].partition("text=")[2])
    assert links[2:4] == ["mailto:a@nour.example", "#follow-ups"]
    assert "النور" in get_text_of(head, ".")
    assert "out of 100" not in get_text_of(head, ".")


async def test_nothing_is_scored_or_called_fine_before_the_first_check(app):
    register(app, NOUR, SITE, link("new", "facebook", "new"))
    with logged_in_client(app, NOW) as client:
        text = get_text_of(get_tree(client, "/en/associations/new"), "//main")
    assert "Not checked yet. The first check starts on 5 March 2026 at" in text, text
    assert "The level appears after the first check." in text
    assert "No problems" not in text
    assert "out of 100" not in text


async def test_association_registered_after_the_newest_check_is_not_called_fine(app):
    register(app, NOUR, SITE, names=["new"])
    with logged_in_client(app, NOW) as client:
        text = get_text_of(get_tree(client, "/en/associations/new"), "//main")
        grid = get_tree(client, "/en/associations?q=new")
        no_problems = get_tree(client, "/en/associations?gap_kind=none")
        meeting = get_text_of(get_tree(client, "/en/meeting?call_limit=10"), "//main")
    assert "Not checked yet. The first check starts on 5 March 2026 at" in text, text
    assert "No problems" not in text
    assert "out of 100" not in text
    problem = get_text_of(grid, "//tr[@id='row-new']/td[starts-with(@class, 'problem')]")
    assert problem.strip() == "not checked yet"
    assert not no_problems.xpath("//tr[@id='row-new']")
    assert "most urgent are listed" not in meeting


async def test_problems_are_folded_by_kind_and_only_broken_ones_are_open(app):
    for channel, code, severity in (
        ("website", "website_domain_lost", "urgent"),
        ("facebook", "name_mismatch", "low"),
    ):
        gap = Gap("nour", channel, code, severity, START, 3, START)
        app.store.conclusions.save(Conclusions(gaps=[gap]))
    step = select_step(app, "nour", "website_domain_lost")
    app.store.completed_steps.save(step, {1}, NOW)
    with logged_in_client(app, NOW) as client:
        tree = get_tree(client, "/en/associations/nour")
    groups = tree.xpath('//section[h2/@id="problems"]/details[@class]')
    assert [group.get("class") for group in groups] == [
        "problems broken",
        "problems improve",
        "problems no_account",
    ]
    assert [group.get("open") is not None for group in groups] == [True, False, False]
    broken = get_text_of(groups[0], ".")
    assert "Its website’s domain name no longer exists" in broken
    assert "since 1 March 2026" in broken
    assert "Why it matters" in broken
    assert "Steps done: 1/" in broken
    assert "Next step" in broken
    assert "To improve 1 Different name on Facebook" in get_text_of(groups[1], "./summary")


def select_step(app, association, code):
    return next(gap for gap in app.store.conclusions.list_gaps(association) if gap.code == code)


async def test_only_the_newest_events_are_open(app):
    for number in range(13):
        day = NOW - timedelta(hours=number)
        app.store.follow_ups.add(
            FollowUp(
                association="nour",
                kind=FollowUpKind.NOTE,
                author="Amina",
                occurred_at=day,
                text=f"no {number}.",
            )
        )
    with logged_in_client(app, NOW) as client:
        tree = get_tree(client, "/en/associations/nour")
    [history] = tree.xpath('//section[h2/@id="history"]')
    open_entries = [entry.text_content() for entry in history.xpath("./ol/li")]
    assert len(open_entries) == 10
    assert "no 0." in open_entries[0]
    assert "no 12." in get_text_of(history, "./details")


async def test_answered_reply_can_be_undone_in_the_history(app):
    reply = add_reply(
        app.store,
        Reply(association="nour", kind=ReplyKind.CLAIMED, submitted_at=NOW, channel="facebook"),
    )
    app.store.replies.review(reply.id, ReplyOutcome.DECLINED, "Sara", "a shop", NOW)
    with logged_in_client(app, NOW) as client:
        tree = get_tree(client, "/en/associations/nour")
        [form] = tree.xpath('//section[h2/@id="history"]//form')
        assert "declined by Sara : a shop" in get_text_of(tree, "//div[@class='answer']").replace(
            "Sara:", "Sara :"
        )
        client.post(form.get("action"))
    assert app.store.replies.get(reply.id).outcome is None


async def test_reason_of_an_unchecked_account_takes_one_click_and_its_evidence_two(app):
    with logged_in_client(app, NOW) as client:
        page = get_tree(client, "/fr/associations/nour")
        [row] = page.xpath('//li[@id="channel-website"]')
        assert "la plateforme demande de se connecter" in get_text_of(row, ".")
        [evidence_url] = row.xpath('.//a[contains(@href, "/accounts/")]/@href')
        evidence = get_tree(client, evidence_url)
    assert "Site web : présent" in get_text_of(evidence, "//h1").replace("\xa0", " ")
    main = get_text_of(evidence, "//main")
    assert "Ouvrez-la dans votre navigateur" in main
    assert evidence.xpath('//form[contains(@action, "kind=confirm")]')


async def test_equal_checks_are_one_line_on_the_evidence_page(app):
    account = get_account_id(app, NOUR.typed_text)
    with logged_in_client(app, NOW) as client:
        tree = get_tree(client, f"/en/associations/nour/accounts/{account}")
    lines = tree.xpath('//section[h2/@id="checks"]/ol/li')
    texts = [get_text_of(line, ".") for line in lines]
    assert [text.partition(" ·")[0] for text in texts] == [
        "3 March 2026 to 4 March 2026",
        "1 March 2026 to 2 March 2026",
    ]
    assert "2 checks with this result" in texts[0]
    assert "absent page not found" in texts[0]


async def test_english_notes_of_a_probe_are_only_among_the_technical_details(app, monkeypatch):
    def noting(account, keyed=()):
        page = yield PageRequest(account.identity.canonical, is_registered_link=True)
        return absent_finding(page, Reason.NOT_FOUND, detail="no channel data")

    monkeypatch.setattr(checker, "create_probe", noting)
    await execute_run(app, night_of(4))
    account = get_account_id(app, SITE.typed_text)
    with logged_in_client(app, NOW + timedelta(days=1)) as client:
        tree = get_tree(client, f"/fr/associations/nour/accounts/{account}")
    [note] = tree.xpath('//code[text()="no channel data"]')
    assert note.xpath("ancestor::details/summary")[0].text == "Détails techniques"


async def test_ignored_gap_is_shown_with_its_decision(app):
    decision = Decision("nour", "youtube", DecisionKind.WAIVE, "Amina", "no videos yet", START)
    app.store.decisions.add(decision)
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
    return replace(absent_finding(page, Reason.PARKED), followers=1234, facts=facts)


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
    assert "Abonnés</dt><dd>1234</dd>" in text
    assert "<code>title</code>" in text
    assert "<code>service</code>" not in text


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
    app.store.registry.save_registry([hostile], [link(hostile.id, "facebook", "nour")], NOW)
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
    site = link("amal", "website", "amal")  # checked for the first time, so its page is shown
    register(app, NOUR, SITE, link("amal", "facebook", "amal"), site)
    app.web.answers = {site.typed_text: f"<title>{title}</title><p>{text}</p>"}
    await execute_run(app, night_of(4))
    with logged_in_client(app, night_of(4) + timedelta(hours=8)) as client:
        text = get_page(
            client, f"/fr/associations/amal/accounts/{get_account_id(app, site.typed_text)}"
        )
    assert "&lt;script&gt;alert(1)" in text
    assert "&lt;b&gt;bold" in text
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
