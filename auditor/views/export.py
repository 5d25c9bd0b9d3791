"""An export as a stream of bytes: what the web sends and the command line writes, never held whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from auditor.core.formatting import document_parts
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import views
from auditor.evaluation.summary import Chosen
from auditor.i18n.wording import Wording
from auditor.protocols import Memory
from auditor.registry import spreadsheet
from auditor.views import export_rows, meeting_pack
from auditor.views.dashboard import calls
from auditor.views.export_rows import Kind, Seen, everybody
from storage.models.audit import Association, NightState

KINDS: Mapping[str, Kind] = {**export_rows.KINDS, "meeting": meeting_pack.KIND}
"""Every kind of export, by its name on the command line."""
WITH = {"meeting": ("meeting", "coverage", "changes")}
"""Kinds whose workbook has sheets of other kinds as well."""
Format = Literal["csv", "xlsx", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}


@dataclass(frozen=True, slots=True)
class Export:
    """What is asked for: the kind of rows, of which associations, in which format and whose words.

    Without `words` the headings are the English keys and codes stand alone. `since` is when `changes` begin,
    the newest concluded night where it is None. `private` tells whose people may be told of to whoever asked.
    """

    kind: str
    format: Format = "csv"
    chosen: Chosen = field(default_factory=Chosen)
    words: Wording | None = None
    since: datetime | None = None
    bom: bool = True
    delimiter: str = ","
    right_to_left: bool = False
    private: Callable[[Association], bool] = everybody

    def file_name(self, now: datetime) -> str:
        """A dated name for the file, in ASCII."""
        return f"{self.kind}-{now.date().isoformat()}.{self.format}"

    def spoken_name(self, now: datetime) -> str:
        """The same name in its language."""
        kind = self.words.term("export", self.kind) if self.words else self.kind
        return f"{kind}-{now.date().isoformat()}.{self.format}"


def stream(asked: Export, app: Memory, now: datetime) -> Iterator[bytes]:
    """The export's bytes, piece by piece."""
    told = seen(asked, app, now)
    kind = KINDS[asked.kind]
    if asked.format == "json":
        return (part.encode(errors="replace") for part in document_parts(kind.items(told), now))
    if asked.format == "csv":
        table = kind.table(kind.items(told), told.config, asked.words)
        return spreadsheet.csv_lines(table, bom=asked.bom, delimiter=asked.delimiter)
    return _workbook(asked, told)


def seen(asked: Export, app: Memory, now: datetime) -> Seen:
    """What the rows are made of."""
    last = app.store.last_night(NightState.DONE) if asked.since is None else None
    since = last.started_at if last else asked.since
    called = calls(app.store, app.config, asked.chosen, now) if asked.kind == "meeting" else ()
    words = None if asked.format == "json" else asked.words
    return Seen(_Views(app, asked.chosen, now), app.config, since, called, words, asked.private)


@dataclass(frozen=True, slots=True)
class _Views:
    """The associations that are chosen, read anew for each sheet, so that none has to hold them all."""

    app: Memory
    chosen: Chosen
    now: datetime

    def __iter__(self) -> Iterator[AssociationView]:
        return views(self.app.store, self.app.config, self.now, self.chosen)


def _workbook(asked: Export, told: Seen) -> Iterator[bytes]:
    names = WITH.get(asked.kind, (asked.kind,))
    tables = {
        asked.words.term("export", name) if asked.words else name: KINDS[name].table(
            KINDS[name].items(told), told.config, asked.words
        )
        for name in names
    }
    return spreadsheet.pieces(tables, right_to_left=asked.right_to_left)
