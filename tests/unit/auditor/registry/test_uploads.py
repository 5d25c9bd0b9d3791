"""Uploaded spreadsheets: private files that are kept for a day."""

from datetime import UTC, datetime, timedelta

import pytest

from auditor.registry.uploads import MAX_UPLOAD_AGE, UploadStore

NOW = datetime(2026, 12, 2, 9, tzinfo=UTC)


def test_only_the_owner_can_read_an_upload(tmp_path):
    uploads = UploadStore(tmp_path / "uploads")
    file = uploads.find(uploads.save(b"id,name,email", NOW), NOW)
    assert (file.stat().st_mode & 0o777, file.read_bytes()) == (0o600, b"id,name,email")


@pytest.mark.parametrize(("step", "is_kept"), [(-1, True), (0, False)])
def test_upload_is_kept_for_a_day(tmp_path, step, is_kept):
    uploads = UploadStore(tmp_path / "uploads")
    name, later = uploads.save(b"", NOW), NOW + MAX_UPLOAD_AGE + timedelta(seconds=step)
    assert (uploads.find(name, later) is not None) is is_kept
    newer_name = uploads.save(b"", later)
    kept_names = {path.name for path in uploads.folder.iterdir()}
    assert kept_names == ({name, newer_name} if is_kept else {newer_name})
