"""Texts of strangers and operators are cleaned once, and refused in one line.

The parsers of pages, links and files are fuzz targets, see tests/fuzz.
"""

from contextlib import suppress

import httpx
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from auditor.config import schema
from auditor.registry import columns, spreadsheet
from probes.http import host_state
from probes.http.fetcher import FetchOptions
from probes.http.request_chain import RedirectChain, RequestSender
from probes.http.robots import parse_robots
from probes.http.ssrf_guard import SsrfGuard
from probes.links import normalize
from probes.models.http import FetchError, Page
from probes.text import charset, language
from probes.text import date_vocabulary as vocabulary
from storage import sanitize
from storage.errors import OneLineError
from storage.read_model import association_search
from storage.tables.core import GAP
from tests.fuzz.service_targets import assert_one_line
from tests.support.fuzz_inputs import (
    BODIES,
    DATED,
    JSON,
    LINKED,
    NOW,
    ODD,
    SAID,
    TEXTS,
    URLS,
    pieces,
    spliced,
    written,
)

MORE = 10 if settings.default.max_examples > 100 else 1
"""Factor of the number of examples with `--hypothesis-profile exploring`."""


def build_settings(examples):
    """Return settings with so many examples, and more under the profile `exploring`."""
    return settings(
        max_examples=MORE * examples, deadline=None, suppress_health_check=list(HealthCheck)
    )


def is_unsafe(*values):
    """Return True if a text in these is unsafe for a terminal, a page or a database."""
    return sanitize.sanitize(values) is not values


# --- what is the same when it is done again

AGAIN = [
    charset.clean_text,
    normalize.trim_punctuation,
    normalize.strip_tracking,
    columns.normalize_label,
    vocabulary.strip_arabic_vowels,
    sanitize.sanitize_text,
]
AGAIN += [language.fold_text, lambda text: spreadsheet.clean_cells([text])[0]]


@build_settings(30)
@given(TEXTS | URLS)
@example("İ")
@example("< <")
def test_cleaned_text_is_clean(text):
    for plain in AGAIN:
        once = plain(text)
        assert plain(once) == once


# --- what comes over the network


@build_settings(40)
@given(URLS, st.sampled_from(["https://nour.example/a?b", "http://nour.example:80/"]))
def test_redirect_target_is_web_url_or_error(location, url):
    chain = RedirectChain(httpx.URL(url), {}, insecure=False, max_bytes=1)
    with suppress(FetchError):
        RequestSender(FetchOptions(), SsrfGuard(), None, lambda: NOW).move_to_redirect(
            chain, location
        )
        assert str(SsrfGuard().check_url(str(chain.url))) == str(chain.url)


@build_settings(40)
@given(spliced(DATED, ODD, ("120", "GMT", "Fri, "), most=3), st.integers(200, 999), BODIES)
def test_retry_after_is_limited_and_any_robots_txt_parses(value, status, body):
    wait = host_state.parse_retry_after(value, NOW)
    assert wait is None or 0 <= wait <= host_state.MAX_PARSED_RETRY_AFTER_SECONDS
    robots = parse_robots(Page("", status, body=b"User-agent: *\nDisallow: " + body), "auditor")
    assert robots.is_allowed("https://nour.example/") in {True, False}
    assert robots.crawl_delay is None or robots.crawl_delay >= 0


@build_settings(25)
@given(
    st.none()
    | TEXTS
    | JSON.map(lambda data: association_search.encode_cursor([data]))
    | st.lists(JSON).map(association_search.encode_cursor)
)
def test_any_cursor_is_valid_or_an_error(cursor):
    place = association_search.decode_cursor(cursor, (GAP.c.association, GAP.c.id))
    if place is not None:
        assert [type(part) for part in place] == [str, int]
        assert not is_unsafe(place)


# --- what people bring

TYPED = spliced(DATED, LINKED, SAID, ODD, most=5)


SETTINGS = spliced(
    pieces("[network] [fetch] [channels.facebook] [[rules]] [schedule] [web] [storage] [notify]"),
    pieces(
        "\n|name = |timeout = |at = |code = |canaries = |port = |folder = |= |0 = 1\n|[a]\nb.c = ",
        "|",
    ),
    pieces('1 -1 1e400 "x" [] {} nan true 99999999 "\\u0000" 2026-11-25 00:30:00'),
    ("\n", "\n", *ODD),
)


@build_settings(25)
@given(
    SETTINGS,
    st.dictionaries(
        st.sampled_from(pieces("AUDITOR_FETCH__TIMEOUT AUDITOR_X__Y AUDITOR_WEB")), TYPED
    ),
)
def test_any_file_is_a_configuration_or_a_one_line_error(tmp_path_factory, text, environ):
    file = tmp_path_factory.getbasetemp() / "config.toml"
    file.write_bytes(written(text))
    try:
        schema.load_config(file, environ)
    except OneLineError as error:
        assert_one_line(error)
