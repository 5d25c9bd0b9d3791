"""`auditor demo --serve`, as a newcomer uses it: a real process, a real socket, one login link."""

import gzip
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

AUDITOR = Path(sys.executable).with_name("auditor")
LINK_PATTERN = re.compile(r"http://127\.0\.0\.1:\d+/en/login/[\w-]+")
DEMO_ASSOCIATIONS, MAX_GRID_BYTES, MAX_TODAY_BYTES = 100, 18_000, 10_000
ENVIRONMENT = {**os.environ, "LANG": "C.UTF-8", "PYTHONWARNINGS": "ignore"}


@pytest.fixture(scope="module")
def demo_process(tmp_path_factory):
    """Yield the process of the demo after it has printed its link, and the link."""
    folder = tmp_path_factory.mktemp("demo")
    with (
        (folder / "messages").open("w") as messages,
        subprocess.Popen(
            [AUDITOR, "--lang", "en", "demo", "--serve"],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
        ) as process,
    ):
        try:
            link = next(filter(LINK_PATTERN.match, process.stdout)).strip()
            yield process, link, folder / "messages"
        finally:
            process.kill()


@pytest.mark.slow
def test_link_opens_a_fresh_dashboard_once_and_ctrl_c_ends_the_demo(demo_process):
    process, link, messages = demo_process
    address = httpx.URL(link)
    assert f"dashboard, until you press Ctrl-C: {address.join('/')}" in messages.read_text()
    with httpx.Client(trust_env=False, timeout=60, follow_redirects=True) as browser:
        dashboard = browser.get(link)
        assert dashboard.url.path == "/en/"
        assert dashboard.status_code == 200
        assert "Tell the operator" not in dashboard.text  # the last check is fresh
        assert browser.get(address.join("/en/users")).status_code == 200
        for language in ("ar", "fr", "en"):
            grid = browser.get(address.join(f"/{language}/associations")).content
            assert grid.count(b'<tr id="row-') == DEMO_ASSOCIATIONS
            assert len(gzip.compress(grid, 6)) <= MAX_GRID_BYTES
            today = browser.get(address.join(f"/{language}/")).content
            assert len(gzip.compress(today, 6)) <= MAX_TODAY_BYTES
    assert httpx.get(link, trust_env=False).status_code == 410
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert messages.read_text().splitlines()[-1] == "the demo has ended"
    assert "Traceback" not in messages.read_text()
