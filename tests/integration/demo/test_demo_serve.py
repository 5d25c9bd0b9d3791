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


@pytest.mark.slow
def test_demo_writes_pages_and_serves_a_fresh_dashboard_until_ctrl_c(tmp_path):
    """Its link can be opened once."""
    messages = tmp_path / "messages"
    command = [AUDITOR, "--lang", "en", "demo", "--serve"]
    with (
        messages.open("w") as log,
        subprocess.Popen(
            command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            link = process.stdout.readline().strip()
            assert LINK_PATTERN.match(link)
            assert (tmp_path / "demo" / "pages" / "index.html").exists()
            check_dashboard(link)
            assert httpx.get(link, trust_env=False).status_code == 410
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    text = messages.read_text()
    assert f"dashboard, until you press Ctrl-C: {httpx.URL(link).join('/')}" in text
    assert text.splitlines()[-1] == "the demo has ended"
    assert "Traceback" not in text


def check_dashboard(link):
    address = httpx.URL(link)
    with httpx.Client(trust_env=False, timeout=60, follow_redirects=True) as browser:
        dashboard = browser.get(link)
        assert (dashboard.url.path, dashboard.status_code) == ("/en/", 200)
        assert "Tell the operator" not in dashboard.text  # the last check is fresh
        assert browser.get(address.join("/en/users")).status_code == 200
        grid = browser.get(address.join("/ar/associations")).content
        assert grid.count(b'<tr id="row-') == DEMO_ASSOCIATIONS
        assert len(gzip.compress(grid, 6)) <= MAX_GRID_BYTES
        today = browser.get(address.join("/ar/")).content
        assert len(gzip.compress(today, 6)) <= MAX_TODAY_BYTES
