"""The least that a check of these links costs: curl, gunzip, lxml, and a file for each page.

    PYTHON tests/bench/floor.py LINKS FOLDER

curl writes the compressed pages as they arrive, which are then the evidence. Prints the number of
parsed pages.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lxml.html

CURL = "curl --silent --parallel --parallel-max 50 --location --max-time 15"
GZIP_MAGIC = b"\x1f\x8b"
LINKS_OF_HOST = 5
"""The links of a host, which follow each other in the file."""
HOSTS_AT_ONCE = 50


def fetch_pages(links: list[str], folder: Path) -> None:
    """Write the page of each link to a file."""
    folder.mkdir()
    lines = ['header = "Accept-Encoding: gzip"']
    for number, link in enumerate(interleave_hosts(links)):
        lines += [f'url = "{link}"', f'output = "{folder / str(number)}"']
    config = folder.with_suffix(".conf")
    config.write_text("\n".join(lines))
    subprocess.run([*CURL.split(), "--config", str(config)], check=True)


def interleave_hosts(links: list[str]) -> Iterator[str]:
    """Yield one link of each of 50 hosts, then the next: curl then reuses its connections."""
    size = LINKS_OF_HOST * HOSTS_AT_ONCE
    for start in range(0, len(links), size):
        for turn in range(LINKS_OF_HOST):
            yield from links[start : start + size][turn::LINKS_OF_HOST]


def main() -> None:
    """Fetch and parse the pages."""
    links, folder = Path(sys.argv[1]).read_text().split(), Path(sys.argv[2])
    fetch_pages(links, folder.absolute())
    parsed_count = 0
    for file in folder.iterdir():
        data = file.read_bytes()
        body = gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data
        lxml.html.document_fromstring(body)
        parsed_count += 1
    print(parsed_count)


if __name__ == "__main__":
    main()
