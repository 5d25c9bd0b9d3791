"""Statements of third parties about registered accounts."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from probes.models.finding import FoundLink, Reason

WIKIDATA_SOURCE = "wikidata"
"""The `FoundLink.source` of an account that Wikidata names."""


class WitnessSource(StrEnum):
    """A third party that is asked about registered addresses."""

    WIKIDATA = "wikidata"
    WEB_ARCHIVE = "web_archive"


@dataclass(frozen=True, slots=True)
class WikidataStatement:
    """An account that a Wikidata item names.

    `referenced_on` is the newest day on which a source of the statement was read (P813), or None if
    Wikidata gives none.
    """

    link: FoundLink
    item_id: str
    referenced_on: date | None = None


@dataclass(frozen=True, slots=True)
class ArchiveCapture:
    """A copy of a page in the Internet Archive, made when its address answered with status 200."""

    captured_at: datetime
    url: str


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """The answer of a witness about one account.

    `failure` is the reason if it gave none. Otherwise, empty fields mean that it knows nothing.
    """

    failure: Reason | None = None
    statements: tuple[WikidataStatement, ...] = ()
    first_capture: ArchiveCapture | None = None
    latest_capture: ArchiveCapture | None = None
