"""One check stores a limited part of what it received, marks the rest and is not replayed then."""

import random

import pytest

from auditor.checking import evidence
from auditor.checking.evidence import (
    ReplayError,
    build_check_evidence,
    build_evidence_views,
    replay_answers,
)
from probes.models.http import Page, PageRequest
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


def test_withheld_body_takes_no_space():
    pieces = build_pieces([build_exchange(NOISE)] * 3, max_body_bytes=1, is_withheld=True)
    assert not any(piece.is_cut for piece in pieces)


def test_headers_that_nothing_reads_are_not_stored():
    headers = {"x-long": "x" * 9_000, "content-type": "text/html", "set-cookie": "id=1"}
    [page] = build_pieces([build_exchange(headers=headers)])
    assert page.headers == {"content-type": "text/html"}
    assert not page.is_cut


def test_cut_evidence_is_not_replayed(bodies):
    pieces = build_pieces([build_exchange(NOISE)], bodies, 10)
    with pytest.raises(ReplayError, match="not stored"):
        replay_answers(pieces, bodies._body_store)


def test_cut_evidence_is_shown_as_cut(bodies):
    pieces = build_pieces([build_exchange(NOISE)], bodies, 10)
    [view] = build_evidence_views(pieces, bodies._body_store)
    assert view.body_state == "cut"
