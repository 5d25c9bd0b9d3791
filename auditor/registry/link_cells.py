"""Splits a cell of a registry spreadsheet into its links."""

from probes.links.cells import split_links
from probes.urls.repair import MAX_CELL_CHARS

LINK_SEPARATORS = " \t;,،|"
LINK_SPLIT_ROUNDS = 9
"""Limit for splitting a link into further links, to guarantee termination. One split is typical."""


def split_cell(cell: str) -> tuple[list[str], bool]:
    """Return the links of a cell, and True if some are left out.

    A line has at most `MAX_CELL_CHARS` characters. Of a longer one, the links that are whole count.
    """
    if len(cell) <= MAX_CELL_CHARS:
        return _split_links(cell), False
    links, is_cut = [], False
    for line in cell.split("\n"):
        is_cut = is_cut or len(line) > MAX_CELL_CHARS
        links += _split_links(_cut_before_a_link(line))
    return links, is_cut


def _cut_before_a_link(line: str) -> str:
    """Return the beginning of a long line, without half a link."""
    if len(line) <= MAX_CELL_CHARS:
        return line
    ends = (line.rfind(separator, 0, MAX_CELL_CHARS) for separator in LINK_SEPARATORS)
    return line[: max(0, *ends)]


def _split_links(cell: str) -> list[str]:
    """Return the links of a cell, split until each link alone is not split further.

    This way an exported registry is imported with the same links.
    """
    links = [cell]
    for _ in range(LINK_SPLIT_ROUNDS):
        split: list[str] = []
        for link in links:
            split += split_links(link) or [link]
        if split == links:
            break
        links = split
    return links
