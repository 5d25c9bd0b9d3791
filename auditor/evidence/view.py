"""What a look rests on, as a person reads it: what was asked, what came, and the words that stood there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from auditor.evidence.codec import Bodies
from probes.models.finding import NEVER, Finding
from probes.models.http import Page
from probes.parsing.html import clean, decoded, document, looks_like_html
from probes.text.normalize import folded
from storage.errors import StoreError
from storage.models.audit import Evidence

READ = 64 * 1024
"""Bytes of a body that are read for its title and first words; a page is shown within a moment."""
QUOTED = 400
"""Characters of a page's own words that are shown."""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One exchange. `title`, `words`, and all that is `said`, are the page's own, from the archived body.

    `body` is kept; lost where the archive does not hold it any more; withheld where it shows private people;
    none where no body came.
    """

    piece: Evidence
    body: str = "none"
    title: str = ""
    words: str = ""
    said: str = field(default="", repr=False)

    def quotes(self, finding: Finding) -> bool:
        """Whether this is the page that a finding was made of, and the finding's detail stands in it."""
        judged = finding.final_url == (self.piece.final_url or self.piece.url)
        return judged and bool(finding.detail) and folded(finding.detail) in folded(self.said)

    @property
    def led(self) -> tuple[tuple[str, int], ...]:
        """The redirects on the way: each address and the status it gave, the last answer left out."""
        return self.piece.hops[:-1]


def exhibits(evidence: Iterable[Evidence], bodies: Bodies) -> Iterator[Exhibit]:
    """Each exchange of a look, with what its archived body says."""
    for piece in evidence:
        yield _exhibit(piece, bodies)


def _exhibit(piece: Evidence, bodies: Bodies) -> Exhibit:
    if piece.digest is None:
        return Exhibit(piece, "withheld" if piece.withheld else "none")
    try:
        body = bodies.get(piece.digest)
    except StoreError:
        return Exhibit(piece, "lost")
    page = Page(
        piece.final_url or piece.url, piece.status or 0, piece.headers, body[:READ], piece.fetched_at or NEVER
    )
    if not looks_like_html(page):
        return Exhibit(piece, "kept", said=clean(decoded(page), READ))
    said = document(page)
    return Exhibit(piece, "kept", clean(said.title), clean(said.text, QUOTED), f"{said.title}\n{said.text}")


def quotes(finding: Finding, shown: Iterable[Exhibit]) -> bool:
    """Whether a finding's detail is the page's own words; any other is a reader's note, in English."""
    return any(one.quotes(finding) for one in shown)
