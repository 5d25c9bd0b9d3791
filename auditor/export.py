"""An export as a stream of bytes: what the web sends and the command line writes, never held whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from tempfile import TemporaryFile
from typing import Literal, get_args

from auditor import sheet, workbook
from auditor.app import App
from auditor.chosen import Chosen
from auditor.faces import Item
from auditor.output import document_parts
from auditor.overview import views
from auditor.rows import KINDS, Row
from auditor.wording import Wording
from storage.model import NightState

Format = Literal["csv", "xlsx", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Export:
    """What is asked for: the kind of rows, of which associations, in which format and whose words.

    Without `words` the headings are the English keys and codes stand alone. `since` is when `changes` begin,
    the newest concluded night where it is None.
    """

    kind: str
    format: Format = "csv"
    chosen: Chosen = field(default_factory=Chosen)
    words: Wording | None = None
    since: datetime | None = None
    bom: bool = True
    delimiter: str = ","
    right_to_left: bool = False

    def file_name(self, now: datetime) -> str:
        """A dated name for the file, in ASCII."""
        return f"{self.kind}-{now.date().isoformat()}.{self.format}"

    def spoken_name(self, now: datetime) -> str:
        """The same name in its language."""
        kind = self.words.term("export", self.kind) if self.words else self.kind
        return f"{kind}-{now.date().isoformat()}.{self.format}"


def stream(asked: Export, app: App, now: datetime) -> Iterator[bytes]:
    """The export's bytes, piece by piece."""
    told = items(asked, app, now)
    if asked.format == "json":
        return (part.encode(errors="replace") for part in document_parts(told, now))
    return written(asked, KINDS[asked.kind].table(told, app.config, asked.words))


def items(asked: Export, app: App, now: datetime) -> Iterator[Item]:
    """What JSON gives, item by item."""
    seen = asked.chosen.of(views(app.store, app.config, now), app.config.channels)
    last = app.store.last_night(NightState.DONE) if asked.since is None else None
    since = last.started_at if last else asked.since
    return KINDS[asked.kind].items(seen, app.config, since)


def written(asked: Export, table: Iterable[Row]) -> Iterator[bytes]:
    """A table as CSV or as a workbook."""
    if asked.format == "csv":
        return sheet.csv_lines(table, bom=asked.bom, delimiter=asked.delimiter)
    return _workbook(asked, table)


def _workbook(asked: Export, table: Iterable[Row]) -> Iterator[bytes]:
    title = asked.words.term("export", asked.kind) if asked.words else asked.kind
    with TemporaryFile() as file:
        workbook.write(file, table, title=title, right_to_left=asked.right_to_left)
        file.seek(0)
        yield from iter(partial(file.read, CHUNK), b"")
