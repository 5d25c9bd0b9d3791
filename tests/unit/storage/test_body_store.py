"""Tests of the body store: a body is stored once, whole or not at all, and returned unchanged."""

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.errors import DamagedEvidenceError, MissingEvidenceError, StoreError
from storage.files.body_store import MAX_PENDING_BYTES, BodyStore, BodyWriter, copy_bodies

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)


@pytest.fixture
def body_store(tmp_path):
    return BodyStore(tmp_path / "archive")


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_body_is_stored_once_and_compressed(body_store, tmp_path):
    body = "<p>جمعية</p>".encode() * 1000
    assert body_store.put(body) == body_store.put(body)
    (body_file,) = files(tmp_path)
    assert body_file.stat().st_size < len(body) / 5
    assert body_file.parent.parent.name == body_file.name[:2]


@pytest.mark.parametrize(
    ("digest", "why"),
    [
        ("0" * 64, "it is not stored"),
        ("0" * 63, "it is not a digest"),
        ("0" * 64 + "\n", "it is not a digest"),
        ("A" * 64, "it is not a digest"),
        ("../../etc/passwd", "it is not a digest"),
        ("", "it is not a digest"),
    ],
)
def test_missing_body_or_invalid_digest_raises_missing_evidence_error(body_store, digest, why):
    with pytest.raises(MissingEvidenceError, match=why):
        body_store.get(digest)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-10],
        lambda data: b"",
        lambda data: b"not gzip at all",
        lambda data: data[:20] + bytes([data[20] ^ 255]) + data[21:],
        lambda data: gzip.compress(b"another body"),
    ],
    ids=["truncated", "empty", "overwritten", "one_byte_changed", "replaced"],
)
def test_damaged_body_raises_damaged_evidence_error(body_store, tmp_path, damage):
    digest = body_store.put(b"a body of evidence " * 20)
    (body_file,) = files(tmp_path)
    body_file.write_bytes(damage(body_file.read_bytes()))
    with pytest.raises(DamagedEvidenceError):
        body_store.get(digest)


def _fail_without_space(*_):
    raise OSError(28, "No space left on device")


def test_failed_write_leaves_no_file(body_store, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _fail_without_space)
        with pytest.raises(StoreError, match="no space is left on the disk"):
            body_store.put(b"body")
    assert files(tmp_path) == []
    assert body_store.get(body_store.put(b"body")) == b"body"


def test_body_file_appears_complete(body_store, monkeypatch):
    sizes = []

    def record_size(path, target):
        sizes.append((path.stat().st_size, Path(target).exists()))
        return path.rename(target)

    monkeypatch.setattr(Path, "replace", record_size)
    path = body_store.get_path(body_store.put(b"body" * 100))
    assert sizes == [(path.stat().st_size, False)]


# --- body writer


@pytest.mark.parametrize("count", [2, 40])
def test_committed_bodies_are_in_the_store(body_store, tmp_path, count):
    bodies = [b"page %d " % number * 20 for number in range(count)]
    with BodyWriter(body_store) as writer:
        digests = [writer.put(body) for body in (*bodies, *bodies)]
        assert not any(digest in body_store for digest in digests)
        assert files(tmp_path) == []
        writer.commit()
        assert [body_store.get(digest) for digest in digests] == bodies * 2
        assert len(files(tmp_path)) == count
        assert writer.put(bodies[0]) == digests[0]
        assert writer.commit() == 0
    assert sorted(body_store.list_digests()) == sorted(set(digests))
    assert all(file.stat().st_mode & 0o077 == 0 for file in files(tmp_path))


def stage(writer, body):
    writer._write_staged(BodyStore.compute_digest(body), gzip.compress(body))


def test_writer_is_full_until_its_bodies_are_committed(body_store):
    states = []
    with BodyWriter(body_store) as writer:
        for body in (b"0", b"1", b"1", b"2", b"another page"):
            writer.put(body * (MAX_PENDING_BYTES // 3))
            states.append(writer.is_full)
        writer.commit()
        assert [*states, writer.is_full] == [False] * 4 + [True, False]


def test_staged_bodies_of_a_dead_process_are_deleted_after_a_day(body_store, tmp_path):
    dead_writer = BodyWriter(body_store)
    stage(dead_writer, b"staged before the process ended")
    (staged_file,) = files(tmp_path)
    with BodyWriter(body_store):
        assert files(tmp_path) == [staged_file]
    os.utime(staged_file, times=(0, 0))
    with BodyWriter(body_store):
        assert files(tmp_path) == []


def test_missing_intact_bodies_are_copied(body_store, tmp_path):
    digests = [body_store.put(b"page %d " % number * 50) for number in range(30)]
    body_store.get_path(digests[0]).write_bytes(gzip.compress(b"another body"))
    target = BodyStore(tmp_path / "other")
    target.put(b"page 1 " * 50)
    assert copy_bodies(body_store, target) == 28
    assert copy_bodies(body_store, target) == 0
    assert digests[0] not in target
    for digest in digests[1:]:
        assert target.get_path(digest).read_bytes() == body_store.get_path(digest).read_bytes()


def test_body_erased_during_a_copy_is_not_copied(body_store, tmp_path, monkeypatch):
    digest, _ = body_store.put(b"a person's page"), body_store.put(b"another page")
    target, original_commit = BodyStore(tmp_path / "other"), BodyWriter.commit

    def commit_and_erase(writer):
        body_store.remove(digest)
        return original_commit(writer)

    monkeypatch.setattr(BodyWriter, "commit", commit_and_erase)
    assert copy_bodies(body_store, target) == 1
    assert len(list(target.list_digests())) == 1
    assert digest not in target


def test_bodies_that_failed_are_stored_by_the_next_commit(body_store, monkeypatch):
    with BodyWriter(body_store) as writer:
        digests = [writer.put(b"page %d " % number) for number in range(3)]
        with monkeypatch.context() as patched:
            patched.setattr(BodyWriter, "_write_staged", _fail_without_space)
            with pytest.raises(StoreError, match="no space is left on the disk"):
                writer.commit()
        assert list(body_store.list_digests()) == []
        assert writer.commit() == 3
    assert sorted(body_store.list_digests()) == sorted(digests)
