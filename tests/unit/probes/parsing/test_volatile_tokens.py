"""Comparison of pages without volatile tokens."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from probes.models.http import Page
from probes.parsing.volatile_tokens import (
    MAX_COMPARED_BYTES,
    MAX_DIFFERENCES,
    equal_except_tokens,
    strip_tokens,
)
from probes.website.page_analysis import analyze_site_page

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)

PAGE = (
    "<html><head>{head}</head><body><h1>Annour</h1><p>Nous aidons le "
    "quartier.</p>{body}</body></html>"
)

LONG_SCRIPT = "<script>var all = {{" + "'a':'b'," * 4_000 + "'nonce':'{}','c':'d'}};</script>"

TOKENS = {
    "a nonce in a script": "<script>var plugin = {{'ajax':'/x','nonce':'{}'}};</script>",
    "one in JSON within a string": '<script>var a = \'{{\\"rest_nonce\\":\\"{}\\"}}\';</script>',
    "one commented out for old readers": (
        "<script>/* <![CDATA[ */ a = {{'aNonce':'{}'}}; /* ]]> */</script>"
    ),
    "one of WordPress": "<script>var _wpnonce = '{}';</script>",
    "one of an element": "<script nonce='{}'>go()</script>",
    "a form's token": "<form><input type='hidden' name='_token' value='{}'>Cherchez</form>",
    "a form's token told the other way round": (
        "<input value='{}' name=form_build_id type=hidden />"
    ),
    "a token that is a field's name": "<input type=hidden name={} value=1>",
    "a token for scripts": "<meta name='csrf-token' content='{}'>",
    "a token in an attribute": "<div data-token='{}'>Agenda</div>",
    "what a cache says": "<!-- Page cached by a plugin, key {} -->",
    "what a cache says in lines": "<!--\nServed from disk\nKey: {}\n-->",
    "a token in a long script": LONG_SCRIPT,
    "a view's own name": "<div class='view js-view-dom-id-{0}{0}{0}{0}'>Agenda</div>",
}

CLOCKS = {
    "a clock": "<script>var s = {{'server_time':{}}};</script>",
    "a script that is never to be cached": "<script src='/a.js?ver={}'></script>",
    "a file that is never to be cached": "<link rel=stylesheet href='/a.css?x=1&ver={}'>",
}

ONE, OTHER = "9f6e199ddf12", "a3eb6389ec77"
BEFORE, AFTER = "1795566000", "1795652400"
STEPS = (-1, 0, 1)
HTML = {"content-type": "text/html; charset=utf-8"}


def page(markup: str, value: str) -> bytes:
    return PAGE.format(head="<title>Annour</title>", body=markup.format(value)).encode()


@pytest.mark.parametrize("markup", TOKENS.values(), ids=TOKENS)
def test_pages_with_different_tokens_are_equal(markup):
    assert page(markup, ONE) != page(markup, OTHER)
    assert equal_except_tokens(page(markup, ONE), page(markup, OTHER))


@pytest.mark.parametrize("markup", CLOCKS.values(), ids=CLOCKS)
def test_pages_with_different_timestamps_are_equal(markup):
    assert equal_except_tokens(page(markup, BEFORE), page(markup, AFTER))


CHANGES = {
    "words": "<p>{}</p>",
    "words after a field": "<input type=hidden name=a value=b>{}",
    "words after what a cache says": "<!-- cached -->{}",
    "a field that is shown": "<input type=text value='{}'>",
    "something else in a long script": LONG_SCRIPT.replace("nonce", "name"),
    "a long script without parts": "<script>" + "x" * 9_000 + "{}</script>",
    "words that end as a token's name does": '<p>Annonce : "{}"</p>',
    "such a word in another code": '<script>var page = {{"d\u00e9nonce":"{}"}};</script>',
    "such a word escaped": '<script>var page = {{"d\\u00e9nonce":"{}"}};</script>',
    "such a word of two": "<script>var je_denonce = '{}';</script>",
    "text of a feed": "<title><![CDATA[Notre token : '{}']]></title>",
    "text of a tag whose name begins as a script's": "<styleguide>token: '{}'</styleguide>",
    "such a word in a script": '<script>var page = {{"annonce":"{}"}};</script>',
    "words behind a tag with a token": "<p data-token='x'>nonce: '{}'</p>",
    "words within what is no comment": "<!-->cache {} -->",
    "words behind a comment's other end": "<!-- cache --!>{} -->",
    "words of a cache behind a comment": "<!-- {} -->cachette",
    "a field that is called hidden": "<input data-type=hidden type=text value={}>",
    "a tag that is called by a token's name": (
        "<meta data-name='csrf-x' property='og:title' content='{}'>"
    ),
    "an address by a token's name": '<script>var page = {{"token_page":"https://{}/"}};</script>',
    "an address": "<a href='https://www.facebook.com/{}'>nous suivre</a>",
    "a comment that is nobody's cache's": "<!-- {} -->",
    "a comment with a script in it": "<script><!-- cache = {{a: '{}'}} --></script>",
    "a session in an address, which is asked": "<a href='/agenda;jsessionid={0}{0}'>Agenda</a>",
    "a video": "<iframe src='https://www.youtube.com/embed?v={}'></iframe>",
    "a date": "<time datetime='{}'></time>",
    "a title": "<script type='application/ld+json'>{{'name':'{}'}}</script>",
    "a description": "<meta name=description content='{}'>",
}


@pytest.mark.parametrize("markup", CHANGES.values(), ids=CHANGES)
def test_pages_with_different_content_differ(markup):
    assert not equal_except_tokens(page(markup, ONE), page(markup, OTHER))


@pytest.mark.parametrize(
    "markup", ["<a href='/agenda?ts={}'>", "<link rel=alternate href='/feed?ver={}'>"]
)
def test_timestamps_in_links_are_compared(markup):
    assert not equal_except_tokens(page(markup, BEFORE), page(markup, AFTER))


def test_large_differences_are_not_compared():
    script = "<script>var long = '" + "x" * 1_500 + "', nonce = '{}';</script>"
    small_pair, large_pair = (
        [(script.format(value) * count).encode() for value in (ONE, OTHER)] for count in (5, 50)
    )
    assert equal_except_tokens(*small_pair)
    assert not equal_except_tokens(*large_pair)


def test_page_with_an_extra_part_differs():
    markup = TOKENS["a form's token"]
    assert not equal_except_tokens(page(markup, ONE), page(f"{markup}<p>", ONE))


@pytest.mark.parametrize("step", STEPS)
def test_too_many_differences_are_not_compared(step):
    body = TOKENS["a form's token"] * (MAX_DIFFERENCES + step)
    first, second = (body.replace("{}", value).encode() for value in (ONE, OTHER))
    assert equal_except_tokens(first, second) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_too_large_differences_are_not_compared(step):
    """Each of 50 scripts differs in a part of 400 bytes, and the last one has `step` more."""
    part_count = 50
    nonce_length = MAX_COMPARED_BYTES // part_count // 2 - len("script>nonce=''")
    scripts = "".join(f"<script>nonce='{{{number}}}'" for number in range(part_count))
    first = scripts.format(*["1" * nonce_length] * part_count)
    second = scripts.format(*["2" * nonce_length] * (part_count - 1), "2" * (nonce_length + step))
    assert equal_except_tokens(first.encode(), second.encode()) is (step <= 0)


def find_differences(pages):
    """Return the URLs of pages that parse differently without tokens, and how many have tokens."""
    pairs = [(page, b"<".join(map(strip_tokens, page.body.split(b"<")))) for page in pages]
    pages_with_tokens = [
        (page, bare) for page, bare in pairs if bare != page.body and b"<html" in page.body.lower()
    ]
    return [
        page.url
        for page, bare in pages_with_tokens
        if analyze_site_page(page) != analyze_site_page(replace(page, body=bare))
    ], len(pages_with_tokens)


def test_pages_parse_alike_without_tokens():
    pages = [
        Page("https://annour.example/", 200, HTML, page(markup, ONE), NOW)
        for markup in TOKENS.values()
    ]
    assert find_differences(pages) == ([], len(TOKENS))


def iter_corpus_pages(folder):
    """Yield every page of the corpus that has a body."""
    for case in json.loads((folder / "cases.json").read_text(encoding="utf-8")):
        for exchange in case["exchanges"]:
            if "body_file" in exchange:
                headers = {
                    name.lower(): value for name, value in exchange.get("headers", {}).items()
                }
                body = (folder / exchange["body_file"]).read_bytes()
                yield Page(exchange["url"], exchange.get("status", 200), headers, body, NOW)


@pytest.mark.slow
def test_corpus_pages_parse_alike_without_tokens(shared):
    different_urls, token_page_count = find_differences(iter_corpus_pages(shared / "corpus"))
    assert different_urls == []
    assert token_page_count > 200
