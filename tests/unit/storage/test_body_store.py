"""Tests of the body store: a body is stored once, whole or not at all, and returned unchanged."""

import gzip
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probes.links.identify import identify_link
from probes.models.finding import Finding, Presence
from storage.errors import DamagedEvidenceError, MissingEvidenceError, StoreError
from storage.files.body_store import (
    MAX_PENDING_BYTES,
    BodyStore,
    BodyWriter,
    copy_bodies,
    remove_staged_bodies,
)
from storage.models.audit import AccountRow, Association, Evidence, Observation
from storage.store import Store

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)


@pytest.fixture
def body_store(tmp_path):
    return BodyStore(tmp_path / "archive")


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=4096))
def test_body_is_returned_unchanged(body_store, body):
    digest = body_store.put(body)
    assert digest == hashlib.sha256(body).hexdigest()
    assert body_store.get(digest) == body
    assert digest in body_store


def test_body_is_stored_once_and_compressed(body_store, tmp_path):
    body = "<p>جمعية</p>".encode() * 1000
    assert body_store.put(body) == body_store.put(body)
    (body_file,) = files(tmp_path)
    assert body_file.stat().st_size < len(body) / 5
    assert body_file.parent.parent.name == body_file.name[:2]


def test_missing_body_raises_missing_evidence_error(body_store):
    with pytest.raises(MissingEvidenceError):
        body_store.get("0" * 64)
    assert "0" * 64 not in body_store


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_invalid_digest_opens_no_file(body_store, digest):
    with pytest.raises(MissingEvidenceError, match="not a digest"):
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


def test_failed_write_leaves_no_file(body_store, tmp_path, monkeypatch):
    def fail_without_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail_without_space)
    with pytest.raises(StoreError, match="no space is left on the disk"):
        body_store.put(b"body")
    assert files(tmp_path) == []
    monkeypatch.undo()
    assert body_store.get(body_store.put(b"body")) == b"body"


def test_body_file_appears_complete(body_store, tmp_path, monkeypatch):
    sizes = []

    def record_size(path, target):
        sizes.append((path.stat().st_size, Path(target).exists()))
        return path.rename(target)

    monkeypatch.setattr(Path, "replace", record_size)
    body_store.put(b"body" * 100)
    (body_file,) = files(tmp_path)
    assert sizes == [(body_file.stat().st_size, False)]


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


def test_uncommitted_bodies_are_deleted(body_store, tmp_path):
    with BodyWriter(body_store) as writer:
        writer.put(b"of an uncommitted observation")
    assert files(tmp_path) == []
    assert writer.commit() == 0


def stage(writer, body):
    writer._write_staged(BodyStore.compute_digest(body), gzip.compress(body))


def test_writer_is_full_until_its_bodies_are_committed(body_store):
    with BodyWriter(body_store) as writer:
        for number in (0, 1, 1, 2):
            writer.put(b"%d" % number * (MAX_PENDING_BYTES // 3))
        assert not writer.is_full
        writer.put(b"another page")
        assert writer.is_full
        writer.commit()
        assert not writer.is_full


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
    digests = [body_store.put(b"page %d " % number * 50) for number in range(600)]
    body_store.get_path(digests[0]).write_bytes(gzip.compress(b"another body"))
    target = BodyStore(tmp_path / "other")
    target.put(b"page 1 " * 50)
    assert copy_bodies(body_store, target) == 598
    assert copy_bodies(body_store, target) == 0
    assert digests[0] not in target
    for digest in digests[1:]:
        assert target.get_path(digest).read_bytes() == body_store.get_path(digest).read_bytes()


def test_body_erased_during_a_copy_is_not_copied(body_store, tmp_path, monkeypatch):
    digest, target = body_store.put(b"a person's page"), BodyStore(tmp_path / "other")
    body_store.put(b"another page")
    original_commit = BodyWriter.commit

    def commit_and_erase(writer):
        body_store.remove(digest)
        return original_commit(writer)

    monkeypatch.setattr(BodyWriter, "commit", commit_and_erase)
    assert copy_bodies(body_store, target) == 1
    assert digest not in target
    assert len(files(tmp_path / "other")) == 1


def test_remove_staged_bodies_deletes_only_the_given_digests(body_store, tmp_path):
    with BodyWriter(body_store) as writer:
        stage(writer, b"a person's page")
        stage(writer, b"another page")
        digest = BodyStore.compute_digest(b"a person's page")
        remove_staged_bodies(body_store, {digest})
        (staged_file,) = files(tmp_path)
        assert digest not in staged_file.name


def test_failed_copy_leaves_no_file(body_store, tmp_path, monkeypatch):
    body_store.put(b"body")
    target = BodyStore(tmp_path / "other")
    monkeypatch.setattr("storage.files.body_store._fsync_paths", _fail_without_space)
    with pytest.raises(StoreError, match="no space is left on the disk"):
        copy_bodies(body_store, target)
    assert files(tmp_path / "other") == []


def test_full_disk_raises_store_error_on_commit(body_store, monkeypatch):
    with BodyWriter(body_store) as writer:
        writer.put(b"body")
        monkeypatch.setattr("storage.files.body_store._fsync_paths", _fail_without_space)
        with pytest.raises(StoreError, match=r"free disk space"):
            writer.commit()
    assert list(body_store.list_digests()) == []


def test_bodies_that_failed_are_stored_by_the_next_commit(body_store, monkeypatch):
    bodies, original_write = [b"page %d " % number for number in range(3)], BodyWriter._write_staged
    with BodyWriter(body_store) as writer:
        digests = [writer.put(body) for body in bodies]
        monkeypatch.setattr(
            BodyWriter,
            "_write_staged",
            lambda *args: (
                original_write(*args) if digests[0] in args else _fail_without_space(args)
            ),
        )
        with pytest.raises(StoreError, match="no space is left on the disk"):
            writer.commit()
        assert list(body_store.list_digests()) == []
        monkeypatch.setattr(BodyWriter, "_write_staged", original_write)
        assert writer.commit() == 3
    assert sorted(body_store.list_digests()) == sorted(digests)


def _fail_without_space(_):
    raise OSError(28, "No space left on device")


async def test_body_is_stored_before_its_observation_is_committed(body_store, tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store, BodyWriter(body_store) as writer:
        site = AccountRow("amal", "amal.example", identify_link("https://amal.example/"), "website")
        store.registry.save_registry([Association("amal", "Amal")], [site], NOW)
        run = store.runs.begin_or_resume(NOW.date(), NOW)
        digest = writer.put(b"<p>Amal</p>")
        observation = Observation(
            1, run.id, NOW, Finding(Presence.PRESENT), (Evidence("u", 200, "u", digest=digest),)
        )
        original_record = store.observations.record

        def record(batch):
            assert digest in body_store
            return original_record(batch)

        store.observations.record = record
        async with store.observations.open_writer(
            before_commit=writer.commit
        ) as observation_writer:
            await observation_writer.add(observation)
            assert digest not in body_store
        assert list(store.observations.list_observations()) == [observation]
