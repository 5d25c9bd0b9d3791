"""The code of docs/contributing/adding-a-channel.md is that of the channel which it adds."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "contributing" / "adding-a-channel.md").read_text(encoding="utf-8")
BLOCKS = [
    block
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    if language != "sh"
]
PATHS = (
    "probes/channels/bluesky.py",
    "config.toml",
    "config.toml",
    "auditor/core/reference/gaps.toml",
    "tests/fixtures/pages/bluesky/gone.toml",
    "tests/fixtures/pages/bluesky/empty.html",
)


@pytest.mark.parametrize(("path", "block"), [*zip(PATHS, BLOCKS, strict=True)])
def test_block_is_what_the_file_says(path: str, block: str) -> None:
    assert block in (ROOT / path).read_text(encoding="utf-8")
