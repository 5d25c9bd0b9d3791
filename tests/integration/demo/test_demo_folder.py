"""The spreadsheet and the folder of the demo."""

from __future__ import annotations

import pytest

from auditor.core.errors import InputError
from auditor.demo import play


def test_demo_refuses_the_folder_of_another_audit(tmp_path):
    (tmp_path / "config.toml").write_text("[network]\n", encoding="utf-8")
    with pytest.raises(InputError, match="an audit that is not a demo"):
        play.prepare_demo_folder(tmp_path)


@pytest.mark.smoke
def test_demo_replaces_an_earlier_demo(tmp_path):
    play.prepare_demo_folder(tmp_path / "demo")
    config = play.write_demo_config(tmp_path / "demo", 8899)
    (config.storage.folder / "archive").mkdir(parents=True)
    play.prepare_demo_folder(tmp_path / "demo")
    assert not config.storage.folder.exists()
    assert config.fetch.proxy == "http://127.0.0.1:8899"
