"""A body is kept once, whole or not at all, and comes back only as it was."""

import gzip
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.archive import Archive
from storage.errors import DamagedEvidenceError, MissingEvidenceError, StoreError


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "archive")


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=4096))
def test_a_body_comes_back_as_it_was(archive, body):
    digest = archive.put(body)
    assert digest == hashlib.sha256(body).hexdigest()
    assert archive.get(digest) == body
    assert digest in archive


def test_a_body_is_kept_once_and_compressed(archive, tmp_path):
    body = "<p>جمعية</p>".encode() * 1000
    assert archive.put(body) == archive.put(body)
    (kept,) = files(tmp_path)
    assert kept.stat().st_size < len(body) / 5
    assert kept.parent.parent.name == kept.name[:2]


def test_a_body_that_is_not_kept_is_told(archive):
    with pytest.raises(MissingEvidenceError):
        archive.get("0" * 64)
    assert "0" * 64 not in archive


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_what_is_no_digest_reaches_no_file(archive, digest):
    with pytest.raises(MissingEvidenceError, match="no digest"):
        archive.get(digest)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-10],
        lambda data: b"",
        lambda data: b"not gzip at all",
        lambda data: data[:20] + bytes([data[20] ^ 255]) + data[21:],
        lambda data: gzip.compress(b"another body"),
    ],
    ids=["cut", "emptied", "overwritten", "one byte turned", "exchanged"],
)
def test_a_damaged_body_is_never_handed_out(archive, tmp_path, damage):
    digest = archive.put(b"a body of evidence " * 20)
    (kept,) = files(tmp_path)
    kept.write_bytes(damage(kept.read_bytes()))
    with pytest.raises(DamagedEvidenceError):
        archive.get(digest)


def test_a_write_that_fails_leaves_nothing_behind(archive, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        archive.put(b"body")
    assert files(tmp_path) == []
    monkeypatch.undo()
    assert archive.get(archive.put(b"body")) == b"body"


def test_a_body_appears_whole_or_not_at_all(archive, tmp_path, monkeypatch):
    sizes = []

    def watched(path, target):
        sizes.append((path.stat().st_size, Path(target).exists()))
        return path.rename(target)

    monkeypatch.setattr(Path, "replace", watched)
    archive.put(b"body" * 100)
    (kept,) = files(tmp_path)
    assert sizes == [(kept.stat().st_size, False)]
