"""Every parser accepts any input within a time limit and raises only expected errors.

Parsers are found by their signatures: public functions whose arguments can be made of texts, bytes,
pages and parsed data.
"""

import importlib
import inspect
import io
import pkgutil
import signal
import types
import typing
import zipfile
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import auditor
import probes
import storage
from auditor.checking.checker import create_probe
from auditor.config import schema
from auditor.registry import columns, importer, spreadsheet
from auditor.registry.workbook_writer import iter_workbook_chunks
from probes.http import host_state
from probes.http.fetcher import FetchOptions
from probes.http.host_state import parse_robots
from probes.http.request_chain import RedirectChain, RequestSender
from probes.http.ssrf_guard import SsrfGuard
from probes.links import channel_registry, identify, normalize
from probes.models.finding import Account, Finding
from probes.models.http import FetchError, Page
from probes.models.probe import run_offline
from probes.text import charset, language
from probes.text import date_vocabulary as vocabulary
from storage import sanitize
from storage.errors import OneLineError
from storage.read_model import association_search
from storage.tables.core import GAP
from tests.support.api_responses import JSON
from tests.support.fuzz_inputs import (
    ANY_PAGE,
    BODIES,
    CHANNELS,
    COLUMNS,
    DATED,
    LINKED,
    LONE,
    NOW,
    ODD,
    ON,
    REFUSED,
    SAID,
    TEXTS,
    URLS,
    UnmakeableError,
    arguments,
    build_strategy,
    pieces,
    spliced,
    written,
)

MORE = 10 if settings.default.max_examples > 100 else 1
"""Factor of the number of examples with `--hypothesis-profile exploring`."""
MAX_CPU_SECONDS = 2
"""CPU seconds of one call (security.md, F22). The deadline of the parser processes is longer."""
MAX_REQUESTS = 40
"""Maximum number of requests for one account."""


def build_settings(examples):
    """Return settings with so many examples, and more under the profile `exploring`."""
    return settings(
        max_examples=MORE * examples, deadline=None, suppress_health_check=list(HealthCheck)
    )


def is_unsafe(*values):
    """Return True if a text in these is unsafe for a terminal, a page or a database."""
    return sanitize.sanitize(values) is not values


# --- the parsers

ELSEWHERE = (*("auditor.demo", "auditor.cli", "auditor.presentation.reports.pdf"),)
NOT_COMMANDS = ("auditor.cli.main", "auditor.cli.output")
"""Modules that parse no foreign data: the demo, the command line, and PDF output."""
EXCUSED = {
    "is given what we wrote": (
        "probes.classify.fingerprints.parse_service probes.classify.fingerprints.parse_table "
        "auditor.core.reference.gap_catalogue.parse_gap_catalogue "
        "auditor.presentation.reports.html.build_report_csp "
        "probes.channels.website.takeover.build_history_facts "
        "probes.channels.website.takeover.is_foreign_to_history "
        "probes.channels.website.takeover.detect_ownership_change"
    ),
    "is given our templates": "auditor.core.rendering.templates.render_template",
    "is given our own words": (
        "auditor.core.rendering.svg.render_qr_code probes.http.ssrf_guard.refuse_address"
    ),
    "runs commands": "auditor.cli.main.main auditor.cli.main.build_command_line",
    "is given the operator's file": (
        "probes.http.pool.create_verifying_context auditor.config.validators.validate_host "
        "auditor.config.validators.validate_network"
    ),
    "is asked for what is known": (
        "auditor.core.reference.gap_catalogue.get_gap_titles "
        "auditor.core.reference.texts.get_glossary_term storage.models.audit.compute_gap_rank "
        "auditor.core.reference.texts.get_message_texts "
        "probes.links.channel_registry.get_channel probes.links.post_numbers.get_date_precision "
        "probes.parsing.feeds.choose_posts_sitemap"
    ),
    "is asked for what is usual": "probes.channels.website.page_analysis.build_usual_feed_urls",
    ("takes one, too"): "probes.text.language.find_folded",
    "is tried by driving the probes of platforms": (
        "probes.parsing.html.parse_soup probes.parsing.html.parse_head_soup "
        "probes.parsing.html.parse_soup_elements"
    ),
    "takes one as text": "probes.text.language.build_replacer",
    "takes words that were folded": "probes.channels.website.site_names.share_distinctive_word",
    "sends what was judged": "probes.http.connection.build_request_head",
    "is tried by reading workbooks": "auditor.registry.workbook_reader.read_workbook",
    "takes an exception": (
        "probes.runner.run.build_crashed_result probes.http.request_chain.map_network_error"
    ),
    "takes an address that was read": (
        "probes.http.ssrf_guard.is_public_address probes.http.ssrf_guard.get_port "
        "probes.http.ssrf_guard.get_ascii_host"
    ),
    ("is tried by driving probes"): (
        "probes.channels._api_common.explain_missing_account probes.models.probe.run_offline "
        "probes.channels._public_profile.get_meta probes.channels._public_profile.get_title "
        "probes.channels._public_profile.iter_script_objects "
        "probes.channels._public_profile.get_element_text "
        "probes.channels._public_profile.get_description "
        "probes.channels._public_profile.find_message "
        "probes.channels._api_common.keep_match "
        "probes.channels._public_profile.match_title "
        "probes.channels._links.drop_prefix "
        "probes.channels._api_common.build_taken_name_finding"
    ),
    "is tried by reading sites and lists": (
        "probes.parsing.feeds.flatten_fields probes.parsing.json_data.list_schema_types "
        "probes.parsing.json_data.list_property_values"
    ),
}
"""Functions that have no fuzz test here, by reason."""
EXCLUDED = {name for names in EXCUSED.values() for name in pieces(names)}


@cache
def list_functions():
    """Return the public functions with parameters and a result, by full name."""
    functions_by_module = {}
    for package in (auditor, probes, storage):
        for module_info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            is_read = module_info.name in NOT_COMMANDS or not module_info.name.startswith(ELSEWHERE)
            if is_read and "migrations" not in module_info.name:
                module = importlib.import_module(module_info.name)
                for name, function in inspect.getmembers(module, inspect.isfunction):
                    if (
                        function.__module__ == module_info.name
                        and not name.startswith("_")
                        and has_immediate_result(function)
                    ):
                        functions_by_module[f"{module_info.name}.{name}"] = function
    return functions_by_module


def has_immediate_result(function):
    """Return True for a function with an immediate result.

    Coroutines make requests. Probes are generators and have their own test.
    """
    gives = object
    with suppress(NameError):
        gives = typing.get_type_hints(function).get("return")
    waits = inspect.iscoroutinefunction(function) or typing.get_origin(gives) is Generator
    return (
        gives not in {None, types.NoneType}
        and not waits
        and bool(inspect.signature(function).parameters)
    )


@cache
def list_parsers():
    """Return the parsers of each module with the strategies of their arguments."""
    parsers = defaultdict(list)
    for name in list_functions().keys() - EXCLUDED:
        function = list_functions()[name]
        with suppress(UnmakeableError, NameError):
            strategies = arguments(function)
            parsers[function.__module__].append((function, strategies))
    return parsers


def test_every_public_parser_is_fuzzed_or_excused():
    """In `auditor` and `storage` a function with project types as parameters is no parser."""
    fuzzed = {
        f"{module}.{parser.__name__}"
        for module, parsers in list_parsers().items()
        for parser, _ in parsers
    }
    left_out = [
        name for name in list_functions().keys() - fuzzed - EXCLUDED if name.startswith("probes.")
    ]
    assert not left_out, "add the strategy of the arguments to fragments.KINDS"
    assert set(list_functions()) >= EXCLUDED


# --- each parser


class LateError(BaseException):
    """A parser takes too long. A BaseException, because no parser catches it."""


@contextmanager
def limit_cpu_time():
    """Interrupt the block if it takes too long."""

    def late(_, frame):
        raise LateError(f"{frame.f_code.co_filename}:{frame.f_lineno}")

    signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, MAX_CPU_SECONDS)
    try:
        yield
    except LateError as where:
        raise AssertionError(
            f"still running after {MAX_CPU_SECONDS} s of CPU, at {where}"
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def call_within_limit(call):
    """Return the result of a call, an iterator as a list. An expected error must have one line."""
    try:
        with limit_cpu_time():
            result = call()
            return list(result) if isinstance(result, Iterator) else result
    except (OneLineError, FetchError) as meant:
        assert "\n" not in str(meant)  # most give something  # noqa: PT017


@pytest.mark.slow
@pytest.mark.fault("F22")
@pytest.mark.parametrize("module", sorted(list_parsers()))
def test_parser_raises_only_expected_errors(module):
    parsers = list_parsers()[module]

    @build_settings(30)
    @given(st.tuples(*[st.fixed_dictionaries(keywords) for _, keywords in parsers]))
    def property_of_it(all_arguments):
        for (function, _), keywords in zip(parsers, all_arguments, strict=True):
            call_within_limit(partial(function, **keywords))

    property_of_it()


LOOKS = [(name, ()) for name in CHANNELS] + [
    (name, (name,)) for name in CHANNELS if channel_registry.get_channel_api(name)
]


@pytest.mark.slow
@pytest.mark.fault("F23")
@pytest.mark.parametrize(("channel", "keyed"), LOOKS)
def test_probe_returns_finding_for_any_response(channel, keyed):
    """The finding is safe to show and to store, from pages and from an API of the channel."""
    whose = st.sampled_from([*ON[channel], identify.identify_link("https://bit.ly/nour", channel)])
    accounts = st.builds(Account, st.just("nour"), URLS, whose, st.none() | build_strategy(Finding))

    @build_settings(25)
    @given(accounts, st.lists(ANY_PAGE | REFUSED, min_size=1, max_size=6))
    def property_of_it(account, waiting):
        requests = []

        def answer(request):
            assert len(requests) < MAX_REQUESTS
            requests.append(request)
            return waiting[(len(requests) - 1) % len(waiting)]

        finding = call_within_limit(
            lambda: run_offline(create_probe(account, keyed), answer)
        ).finding
        assert not is_unsafe(finding.name, finding.detail, finding.links)
        assert len(finding.name or "") <= charset.MAX_TITLE_CHARS

    property_of_it()


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


@build_settings(40)
@given(spliced(LINKED, ODD, LONE) | URLS | TEXTS, COLUMNS)
def test_canonical_url_is_stable(typed, column):
    identity = identify.identify_link(typed, column)
    assert not is_unsafe(identity)
    assert identity.key != ""
    if identity.key and identity.canonical:
        second_identity = identify.identify_link(identity.canonical, identity.channel)
        assert (second_identity.channel, second_identity.key, second_identity.canonical) == (
            identity.channel,
            identity.key,
            identity.canonical,
        )


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
@given(
    st.none() | spliced(DATED, ODD, ("120", "GMT", "Fri, "), most=3), st.integers(200, 999), BODIES
)
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


HEADINGS = st.sampled_from(pieces("name الاسم site_web facebook id tags none_by_choice x"))
TABLE = st.builds(
    lambda head, rows, cut: "\n".join(cut.join(row) for row in [head, *rows]),
    st.lists(HEADINGS, min_size=1),
    st.lists(st.lists(TYPED, max_size=4), max_size=4),
    st.sampled_from([",", ";", "\t"]),
)


@st.composite
def draw_damaged_workbook(draw):
    """Draw a workbook of which one part is damaged or has another type."""
    table = [["name", "facebook"], ["Nour", "https://www.facebook.com/nour"]]
    workbook = b"".join(iter_workbook_chunks({"registry": table}))
    packed, out = zipfile.ZipFile(io.BytesIO(workbook)), io.BytesIO()
    spoilt = draw(st.sampled_from(packed.namelist()))
    with zipfile.ZipFile(out, "w") as archive:
        for name in packed.namelist():
            data = packed.read(name)
            if name == spoilt:
                start, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
                put = draw(
                    st.sampled_from([b"", b"<", b"&x;", b"\xff", b"<r t='9'/>", b"<!DOCTYPE a>"])
                )
                data = data[:start] + put + data[draw(st.sampled_from([start, start + 3, end])) :]
            archive.writestr(name, data)
    return out.getvalue()


SHEETS = st.one_of(
    TABLE.map(written),
    st.builds(
        lambda text, code: text.encode(code, "replace"),
        TABLE,
        st.sampled_from(["cp1256", "utf-16"]),
    ),
    draw_damaged_workbook(),
    st.binary(max_size=60),
    st.sampled_from([b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"sep=;\nname;x\n", b"\xff\xfe"]),
)


@contextmanager
def write_file(tmp_path_factory, name, data):
    """Return a file with this content."""
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    yield path
    path.unlink()


@build_settings(30)
@given(SHEETS)
def test_any_file_is_a_spreadsheet_or_a_one_line_error(tmp_path_factory, data):
    with write_file(tmp_path_factory, "sheet", data) as path:
        reading = call_within_limit(lambda: importer.parse_registry_spreadsheet(path))
        assert not reading or not is_unsafe(reading.accounts, reading.associations)


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
    with write_file(tmp_path_factory, "config.toml", written(text)) as path:
        call_within_limit(lambda: schema.load_config(path, environ))
