"""A body is kept once, whole or not at all, and comes back only as it was."""

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
def archive(tmp_path):
    return BodyStore(tmp_path / "archive")


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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
    with pytest.raises(MissingEvidenceError, match="not a digest"):
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


# --- many at a time


@pytest.mark.parametrize("many", [2, 40])
def test_laid_bodies_are_in_the_archive_once_they_are_settled(archive, tmp_path, many):
    bodies = [b"page %d " % number * 20 for number in range(many)]
    with BodyWriter(archive) as laying:
        digests = [laying.put(body) for body in (*bodies, *bodies)]
        assert not any(digest in archive for digest in digests)
        assert files(tmp_path) == []
        laying.commit()
        assert [archive.get(digest) for digest in digests] == bodies * 2
        assert len(files(tmp_path)) == many
        assert laying.put(bodies[0]) == digests[0]
        assert laying.commit() == 0
    assert sorted(archive.list_digests()) == sorted(set(digests))
    assert all(file.stat().st_mode & 0o077 == 0 for file in files(tmp_path))


def test_what_was_laid_and_never_settled_is_nowhere(archive, tmp_path):
    with BodyWriter(archive) as laying:
        laying.put(b"of a look that was never committed")
        lay(laying, b"of another one")
        assert len(files(tmp_path)) == 1
    assert files(tmp_path) == []
    assert laying.commit() == 0


def lay(laying, body):
    laying.stage(BodyStore.compute_digest(body), gzip.compress(body))


def test_what_waits_to_be_laid_is_heavy_until_it_is_settled(archive):
    with BodyWriter(archive) as laying:
        for number in (0, 1, 1, 2):
            laying.put(b"%d" % number * (MAX_PENDING_BYTES // 3))
        assert not laying.is_full
        laying.put(b"another page")
        assert laying.is_full
        laying.commit()
        assert not laying.is_full


def test_what_threads_lay_while_a_night_fails_is_let_go_of(archive, monkeypatch):
    with BodyWriter(archive) as laying:
        lay(laying, b"one")
        lay(laying, b"two")
        unlink = Path.unlink

        def meanwhile(file, **how):
            monkeypatch.setattr(Path, "unlink", unlink)
            lay(laying, b"three")
            unlink(file, **how)

        monkeypatch.setattr(Path, "unlink", meanwhile)
    lay(laying, b"four")
    laying.put(b"five")
    assert laying.commit() == 0
    assert not list((archive.folder / ".staging").iterdir())
    assert not list(archive.list_digests())


def test_what_a_process_that_died_has_left_goes_a_day_later(archive, tmp_path):
    dead = BodyWriter(archive)
    lay(dead, b"laid before the death")
    (left,) = files(tmp_path)
    with BodyWriter(archive):
        assert files(tmp_path) == [left]
    os.utime(left, times=(0, 0))
    with BodyWriter(archive):
        assert files(tmp_path) == []


def test_what_another_archive_lacks_is_copied_as_it_is_kept_but_for_what_is_damaged(
    archive, tmp_path
):
    digests = [archive.put(b"page %d " % number * 50) for number in range(600)]
    archive.get_path(digests[0]).write_bytes(gzip.compress(b"another body"))
    other = BodyStore(tmp_path / "other")
    other.put(b"page 1 " * 50)
    assert copy_bodies(archive, other) == 598
    assert copy_bodies(archive, other) == 0
    assert digests[0] not in other
    for digest in digests[1:]:
        assert other.get_path(digest).read_bytes() == archive.get_path(digest).read_bytes()


def test_a_body_that_is_forgotten_while_it_is_copied_is_in_no_copy(archive, tmp_path, monkeypatch):
    digest, other = archive.put(b"somebody's page"), BodyStore(tmp_path / "other")
    archive.put(b"another page")
    usual = BodyWriter.stage

    def forgotten(laying, *laid):
        usual(laying, *laid)
        archive.remove(digest)

    monkeypatch.setattr(BodyWriter, "stage", forgotten)
    assert copy_bodies(archive, other) == 1
    assert digest not in other
    assert len(files(tmp_path / "other")) == 1


def test_what_is_laid_of_one_body_is_cleared_and_nothing_else(archive, tmp_path):
    with BodyWriter(archive) as laying:
        lay(laying, b"somebody's page")
        lay(laying, b"another page")
        digest = BodyStore.compute_digest(b"somebody's page")
        remove_staged_bodies(archive, {digest})
        (left,) = files(tmp_path)
        assert digest not in left.name


def test_a_body_that_is_laid_twice_is_kept_once(archive, tmp_path):
    with BodyWriter(archive) as laying:
        for _ in range(2):
            lay(laying, b"page")
        assert laying.commit() == len(files(tmp_path)) == 1


def test_a_copy_that_fails_leaves_no_body_by_half(archive, tmp_path, monkeypatch):
    archive.put(b"body")
    other = BodyStore(tmp_path / "other")
    monkeypatch.setattr("storage.files.body_store._fsync_paths", _no_disk)
    with pytest.raises(StoreError, match="No space left"):
        copy_bodies(archive, other)
    assert files(tmp_path / "other") == []


def test_a_disk_that_takes_no_body_is_one_line(archive, monkeypatch):
    with BodyWriter(archive) as laying:
        laying.put(b"body")
        monkeypatch.setattr("storage.files.body_store._fsync_paths", _no_disk)
        with pytest.raises(StoreError, match=r"free disk space"):
            laying.commit()
    assert list(archive.list_digests()) == []


def test_bodies_that_the_disk_did_not_take_are_brought_in_once_it_does(archive, monkeypatch):
    bodies, usual = [b"page %d " % number for number in range(3)], BodyWriter._write_staged
    with BodyWriter(archive) as laying:
        digests = [laying.put(body) for body in bodies]
        monkeypatch.setattr(
            BodyWriter,
            "_write_staged",
            lambda *asked: usual(*asked) if digests[0] in asked else _no_disk(asked),
        )
        with pytest.raises(StoreError, match="No space left"):
            laying.commit()
        assert list(archive.list_digests()) == []
        monkeypatch.setattr(BodyWriter, "_write_staged", usual)
        assert laying.commit() == 3
    assert sorted(archive.list_digests()) == sorted(digests)


def _no_disk(_):
    raise OSError(28, "No space left on device")


async def test_a_body_is_in_the_archive_before_its_observation_is_committed(archive, tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store, BodyWriter(archive) as laying:
        site = AccountRow("amal", "amal.example", identify_link("https://amal.example/"), "website")
        store.save_registry([Association("amal", "Amal")], [site], NOW)
        night = store.begin_run(NOW.date(), NOW)
        digest = laying.put(b"<p>Amal</p>")
        seen = Observation(
            1, night.id, NOW, Finding(Presence.PRESENT), (Evidence("u", 200, "u", digest=digest),)
        )
        usual = store.record_observations

        def record(batch):
            assert digest in archive
            return usual(batch)

        store.record_observations = record
        async with store.open_observation_writer(before_commit=laying.commit) as writer:
            await writer.add(seen)
            assert digest not in archive
        assert list(store.list_observations()) == [seen]
