"""One check stores a limited part of what it received, marks the rest and is not replayed then."""

import random
from types import SimpleNamespace

import pytest

from auditor.checking import evidence
from auditor.checking.evidence import (
    MAX_EVIDENCE_CHARS,
    MAX_READ_BYTES,
    MAX_SHORT_TEXT_CHARS,
    ReplayError,
    build_check_evidence,
    build_evidence_views,
    replay_answers,
)
from probes.models.finding import Reason
from probes.models.http import FetchError, Hop, Page, PageRequest
from probes.models.probe import HttpExchange
from storage.files.body_store import BodyStore, BodyWriter

URL = "https://annour.example/"
NOISE = random.Random(0).randbytes(1_000).hex().encode()


def build_exchange(body=b"", url=URL, **fields):
    return HttpExchange(PageRequest(url), Page(url, 200, body=body, **fields))


def build_pieces(exchanges, bodies=None, max_body_bytes=10_000, **options):
    return build_check_evidence(exchanges, bodies, max_body_bytes, **options)


@pytest.fixture
def bodies(tmp_path):
    with BodyWriter(BodyStore(tmp_path)) as writer:
        yield writer


@pytest.mark.parametrize(("spare_bytes", "is_cut"), [(1, False), (0, False), (-1, True)])
def test_body_is_stored_if_its_compressed_size_fits(bodies, spare_bytes, is_cut):
    size = len(evidence.compress_body(NOISE))
    [page] = build_pieces([build_exchange(NOISE)], bodies, size + spare_bytes)
    assert page.is_cut is is_cut
    assert (page.digest is None) is is_cut


def test_body_that_compresses_well_fits_although_it_is_large(bodies):
    [page] = build_pieces([build_exchange(b"a" * 100_000)], bodies, 1_000)
    assert page.digest
    assert not page.is_cut


def test_later_small_body_is_stored_after_one_that_does_not_fit(bodies):
    large, small = build_pieces([build_exchange(NOISE), build_exchange(b"small")], bodies, 100)
    assert (large.is_cut, small.is_cut) == (True, False)


def test_withheld_body_takes_no_space():
    pieces = build_pieces([build_exchange(NOISE)] * 3, max_body_bytes=1, is_withheld=True)
    assert not any(piece.is_cut for piece in pieces)


def test_headers_that_nothing_reads_are_not_stored():
    headers = {"x-long": "x" * 9_000, "content-type": "text/html", "set-cookie": "id=1"}
    [page] = build_pieces([build_exchange(headers=headers)])
    assert page.headers == {"content-type": "text/html"}
    assert not page.is_cut


@pytest.mark.parametrize(("extra_chars", "is_cut"), [(-1, False), (0, False), (1, True)])
def test_texts_above_the_limit_of_a_check_are_left_out_and_marked(extra_chars, is_cut):
    hop_url = "x" * (MAX_EVIDENCE_CHARS - 2 * len(URL) + extra_chars)
    [page] = build_pieces([build_exchange(hops=(Hop(hop_url, 302), Hop(URL, 200)))])
    assert page.is_cut is is_cut
    assert (page.hops == ()) is is_cut
    assert page.url == URL


@pytest.mark.parametrize("length", [MAX_SHORT_TEXT_CHARS + extra for extra in (-1, 0, 1)])
def test_address_is_shortened_when_no_space_is_left(length):
    hop_url = "x" * (MAX_EVIDENCE_CHARS - 2 * len(URL))
    full = build_exchange(hops=(Hop(hop_url, 302), Hop(URL, 200)))
    first, second = build_pieces([full, build_exchange(url="u" * length)])
    assert not first.is_cut
    assert len(second.url) == min(length, MAX_SHORT_TEXT_CHARS)
    assert second.url.endswith("…") is (length > MAX_SHORT_TEXT_CHARS)


def test_texts_of_an_error_count_too():
    error = FetchError(Reason.NETWORK, "x" * MAX_EVIDENCE_CHARS, url=URL)
    [piece] = build_pieces([HttpExchange(PageRequest(URL), error)])
    assert len(piece.detail) == MAX_SHORT_TEXT_CHARS
    assert piece.is_cut


def test_cut_evidence_is_not_replayed(bodies):
    pieces = build_pieces([build_exchange(NOISE)], bodies, 10)
    with pytest.raises(ReplayError, match="not stored"):
        replay_answers(pieces, bodies._body_store)


def test_cut_evidence_is_shown_as_cut(bodies):
    pieces = build_pieces([build_exchange(NOISE)], bodies, 10)
    [view] = build_evidence_views(pieces, bodies._body_store)
    assert view.body_state == "cut"


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_text_is_read_of_the_beginning_of_a_body(bodies, step):
    body = b" " * (MAX_READ_BYTES + step - 5) + b"nour!"
    exchange = build_exchange(body, headers={"content-type": "application/json"})
    stored = SimpleNamespace(get=lambda _: body)
    [view] = build_evidence_views(build_pieces([exchange], bodies, 100_000), stored)
    assert view.page_text.strip() == ("nour!" if step <= 0 else "nour")
