"""Tests of the removal of private data: comments, lists of followers, personal profiles."""

import json
import random
import time
from datetime import UTC, datetime

import pytest

from auditor.checking.evidence import build_evidence_views
from auditor.checking.privacy_filter import remove_private_data
from auditor.conclusions.reevaluate import reevaluate
from auditor.runs.run import execute_run
from probes.links import identify
from probes.models.finding import Account, Finding, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import HttpExchange, ProbeResult
from probes.parsing import visitor_content
from probes.parsing.visitor_content import strip_visitor_content
from probes.runner.parser_pool import ParserPool
from storage.models.audit import AccountRow, Association
from tests.support.mini_network import START, opened

VISITOR = "Zineb Zzcomment"
"""A person who commented, follows, or has a profile."""
FETCHED_AT = datetime(2026, 2, 27, 10, tzinfo=UTC)

COMMENTED = [
    f'<ol class="comment-list"><li id="comment-7"><p>{VISITOR}<p>said so</li><li>again</ol>',
    f"<div id=comments><h2>2 comments</h2><div><cite>{VISITOR}</cite></div></div>",
    f'<section class="post__comments js-x"><div><div>{VISITOR}</div></div></section>',
    f"<div class='widget widget_recent_comments'><ul><li>{VISITOR} on Summer</ul></div>",
    f'<div itemprop="comment" itemscope><span itemprop="author">{VISITOR}</span></div>',
    f'<DIV CLASS="Followers Gadget"><img alt="{VISITOR}"></DIV>',
    (
        '<script>var a = {"top_level_comments": {"nodes": '
        f'[{{"by": "{VISITOR}", "t": "}}\\"]"}}]}}}}</script>'
    ),
    (
        '<script type="application/ld+json">{"name": "Nour", '
        f'"comment": [{{"author": "{VISITOR}"}}]}}</script>'
    ),
    (
        f'{{"data": {{"name": "Nour", "followers": [{{"name": "{VISITOR}"}}], "followers_count": '
        f"12}}}}"
    ),
    f'<div class="comments">{VISITOR} and no end',
]
UNTOUCHED = [
    '<body class="single comments-open"><p>Nour</p></body>',
    '<span class="comments-link"><a href="#respond">3 comments</a></span><p>Nour</p>',
    '<p class="has-comments">Nour</p>',
    "<script>if (a < b) { x = '<div class=\"comments\">' }</script><p>Nour</p>",
    '{"followers": 12, "comment_count": 3, "subscriberCountText": {"simpleText": "12"}}',
    "<!doctype html><title>Nour</title><p>Comments are welcome: reviews and followers, too.</p>",
    b"\xff\xfe<\x00p\x00>\x00".decode("latin-1"),
    "",
]


@pytest.mark.parametrize("page", COMMENTED)
def test_visitor_content_is_removed_from_the_page(page):
    body = f"<!doctype html><title>Nour</title><p>Before</p>{page}".encode()
    stripped = strip_visitor_content(body)
    assert VISITOR not in stripped.decode()
    assert b"<p>Before</p>" in stripped
    assert strip_visitor_content(stripped) == stripped


@pytest.mark.parametrize("page", UNTOUCHED)
def test_page_without_visitor_content_is_unchanged(page):
    body = page.encode("latin-1")
    assert strip_visitor_content(body) is body


def test_structured_data_is_not_removed():
    data = {
        "name": "Nour",
        "comments": [{"by": VISITOR, "replies": {"a": [1]}}],
        "posts": [{"comments": {"n": VISITOR}}, 2],
    }
    stripped = json.loads(strip_visitor_content(json.dumps(data).encode()))
    assert stripped == {"name": "Nour", "comments": [], "posts": [{"comments": {}}, 2]}


HOSTILE = [
    "<" + "a" * 200_000,
    "<div" * 200_000,
    '<p class="comments"' * 50_000,
    '"comments":[' * 100_000,
    '"' * 500_001,
    '"comments":[' + '\\"' * 30_000,
    "comment" * 100_000,
    "<a comment" * 80_000 + ">",
    "<" + "comment " * 80_000 + ">",
    'comment"' + " " * 400_000,
]


@pytest.mark.parametrize("page", HOSTILE)
def test_removal_never_raises(page):
    started_at = time.process_time()
    strip_visitor_content(page.encode())
    assert time.process_time() - started_at < 5


def test_page_is_only_skipped_if_nothing_would_be_removed():
    """The fast name check and the full removal agree, however the page is damaged."""
    generator = random.Random(6)
    for _ in range(2_000):
        page = "".join(generator.choice(COMMENTED + UNTOUCHED) for _ in range(2))
        index = generator.randrange(len(page) + 1)
        inserted = generator.choice("<>\"' {[")
        body = (page[:index] + inserted + page[index + generator.randrange(4) :]).encode("utf-8")
        text = body.decode("latin-1")
        without_lists = visitor_content._remove_spans(
            text, visitor_content._find_visitor_lists(text), keep_brackets=True
        )
        stripped = visitor_content._remove_spans(
            without_lists,
            visitor_content._find_visitor_elements(without_lists),
            keep_brackets=False,
        )
        assert strip_visitor_content(body) == stripped.encode("latin-1")


PERSON = "https://www.linkedin.com/in/zineb-zzcomment"
GROUP = "https://www.facebook.com/groups/nour"
SITE = "https://nour.example/"
PAGE = "https://www.facebook.com/nour.agadir"
PROFILE = f"""<!doctype html><title>{VISITOR} | LinkedIn</title>
<meta name="description" content="{VISITOR}, 500 followers">
<script type="application/ld+json">{{"@type": "Person", "name": "{VISITOR}"}}</script>
<p>{VISITOR} writes poems. 500 followers</p>
<div data-activity-urn="urn:li:activity:7160000000000000000"></div>"""
BLOG = f"""<!doctype html><title>Association Nour</title>
<meta name="viewport" content="width=device-width">
<p>Nous organisons des ateliers pour les enfants du quartier chaque samedi matin.</p>
<article><h2>Atelier</h2><time datetime="2026-02-27">27 février 2026</time></article>
<div id="comments"><ol class="comment-list"><li>{VISITOR}: bravo</li></ol></div>
<footer><a href="{PAGE}">Facebook</a></footer>"""
FACEBOOK_PAGE = f"""<!doctype html><title>Nour</title>\
<meta property="og:title" content="Nour Agadir">
<meta property="og:description" content="Nour Agadir. 1,234 followers">
<script>{{"delegate_page":{{"id":"123456"}},"creation_time":1772186400,
"display_comments":{{"nodes":[{{"author":"{VISITOR}"}}]}},\
"followers":{{"edges":[{{"name":"{VISITOR}"}}]}}}}</script>"""
MEMBERS = f"<!doctype html><title>Nour | Facebook</title><p>{VISITOR} joined the group</p>"


@pytest.fixture
async def app(tmp_path):
    small = opened(tmp_path)
    channels = {**small.config.channels, "linkedin": small.config.channels["facebook"]}
    small.config = small.config.model_copy(update={"channels": channels})
    links = [(SITE, "website"), (PAGE, "facebook"), (GROUP, "facebook"), (PERSON, "linkedin")]
    accounts = [
        AccountRow("nour", url, identify.identify_link(url, channel), channel)
        for url, channel in links
    ]
    small.store.registry.save_registry([Association("nour", "Nour")], accounts, START)
    bodies = {SITE: BLOG, PAGE: FACEBOOK_PAGE, GROUP: MEMBERS, PERSON: PROFILE}
    small.web.answers = {url: _page(url, body) for url, body in bodies.items()}
    yield small
    small.store.close()


def _page(url, body):
    return Page(url, 200, {"content-type": "text/html; charset=utf-8"}, body.encode(), FETCHED_AT)


def get_observations(app):
    """Return the newest observation of each link."""
    links = {account.id: account.typed_text for account in app.store.registry.list_accounts()}
    return {
        links[observation.account_id]: observation
        for observation in app.store.observations.list_observations()
    }


async def test_run_stores_nothing_about_commenters_followers_and_profiles(app, tmp_path):
    """The findings are the same as without the removal, but for a personal profile."""
    await execute_run(app, START)
    observations = get_observations(app)
    person, page, site = (observations[url] for url in (PERSON, PAGE, SITE))
    assert person.finding.presence is Presence.PRESENT
    assert person.finding.last_activity is not None
    assert (person.finding.name, person.finding.followers, person.finding.detail) == (
        None,
        None,
        "",
    )
    for link in (PERSON, GROUP):
        [view] = build_evidence_views(observations[link].evidence, app.body_store)
        assert (view.evidence.digest, view.body_state) == (None, "withheld")
    figures = page.finding.name, page.finding.followers, page.finding.platform_id
    assert figures == ("Nour Agadir", 1234, "123456")
    assert b"Nour Agadir" in app.body_store.get(page.evidence[0].digest)
    body = app.body_store.get(next(item.digest for item in site.evidence if item.url == SITE))
    assert b"Atelier" in body
    assert PAGE.encode() in body
    assert reevaluate(app).changes == []
    app.store.close()
    stored = [file.read_bytes() for file in tmp_path.glob("auditor.db*")]
    stored += map(app.body_store.get, app.body_store.list_digests())
    assert not any(b"Zzcomment" in content for content in stored)


async def test_page_is_not_stored_if_its_finding_would_change(app):
    body = BLOG.replace(
        '<div id="comments">', '<div id="comments"><a href="https://x.com/nour_agadir">X</a>'
    )
    app.web.answers[SITE] = _page(SITE, body)
    await execute_run(app, START)
    site = get_observations(app)[SITE]
    assert "twitter" in {link.channel for link in site.finding.links}
    [page] = [item for item in site.evidence if item.status == 200 and item.url == SITE]
    assert page.is_withheld
    reevaluate(app)
    assert get_observations(app)[SITE].finding == site.finding


def build_result_without_parser():
    """Return the result of a probe that has requested its page without a parser."""
    page = Page("https://www.facebook.com/nour", 200, body=COMMENTED[0].encode())
    return ProbeResult(Finding(Presence.PRESENT), (HttpExchange(PageRequest(page.url), page),))


async def test_page_is_read_even_if_the_probe_has_no_parser():
    result = build_result_without_parser()
    account = Account("nour", SITE, identify.identify_link(SITE))
    async with ParserPool(0) as parser_pool:
        cleaned, keep_bodies = await remove_private_data(account, result, parser_pool)
    assert not keep_bodies or VISITOR.encode() not in cleaned.exchanges[0].outcome.body


async def test_page_is_not_stored_if_removing_visitors_is_stopped(monkeypatch):
    async def stop(_pool, _parser, _page):
        raise FetchError(Reason.UNREADABLE, "parsing took too long")

    monkeypatch.setattr(ParserPool, "parse", stop)
    result = build_result_without_parser()
    account = Account("nour", SITE, identify.identify_link(SITE))
    assert await remove_private_data(account, result, ParserPool(0)) == (result, False)


async def test_short_link_to_a_person_is_personal(app):
    short = "https://lnkd.in/abc"
    row = AccountRow("nour", short, identify.identify_link(short, "linkedin"), "linkedin")
    app.store.registry.register_account(row, START)
    app.web.answers[short] = _page(PERSON, PROFILE)
    await execute_run(app, START)
    observation = get_observations(app)[short]
    assert not observation.finding.name
    assert all(evidence.digest is None for evidence in observation.evidence)
