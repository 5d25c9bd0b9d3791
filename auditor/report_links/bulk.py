"""Letters for many associations at once: a row for each, with its link and the texts to send.

No link opens anything before `commit`, when all of them are written: a run that breaks off changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from auditor.core.errors import InputError
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.filters import Chosen
from auditor.evaluation.network_view import association_view, views
from auditor.i18n.wording import Wording
from auditor.protocols import Memory
from auditor.registry import spreadsheet, xlsx_writer
from auditor.registry.contact_fields import whatsapp
from auditor.report_links.invitation import Link, invitation
from auditor.report_links.links import drafted
from storage.models.communication import Letter, LetterState
from storage.store import Store

COLUMNS = (
    "association",
    "name",
    "language",
    "phone",
    "email",
    "link",
    "expires_at",
    "text",
    "whatsapp",
    "subject",
    "body",
)
TITLE = "letters"


@dataclass(slots=True)
class Mailing:
    """Letters that are being made by somebody at a moment; `letters` are those that are not kept yet.

    `ended` is how many older ones ended when they were.
    `days` is how long they hold, the configuration's where it is None; with `keep` older ones go on holding.
    """

    app: Memory
    who: str
    now: datetime
    days: int | None = None
    keep: bool = False
    letters: list[Letter] = field(default_factory=list)
    ended: int = 0

    def pieces(
        self,
        seen: Iterable[AssociationView],
        form: str = "csv",
        *,
        words: Wording | None = None,
        bom: bool = True,
        delimiter: str = ",",
    ) -> Iterator[bytes]:
        """The sheet, piece by piece, its headings in a language or English keys.

        Raises ConfigError where no public address is set.
        """
        table = self._table(seen, words)
        if form == "csv":
            yield from spreadsheet.csv_lines(table, bom=bom, delimiter=delimiter)
        else:
            title = words.term("export", TITLE) if words else TITLE
            right_to_left = words is not None and words.direction == "rtl"
            yield from xlsx_writer.pieces({title: table}, right_to_left=right_to_left)

    def commit(self) -> None:
        """Keep the letters: from now on their links open, and the older ones do not."""
        self.ended = self.app.store.add_letters(self.letters, keep=self.keep)

    def _table(self, seen: Iterable[AssociationView], words: Wording | None) -> Iterator[list[object]]:
        yield [words.term("heading", column) if words else column for column in COLUMNS]
        yield from map(self._row, seen)

    def _row(self, view: AssociationView) -> list[object]:
        about = view.association
        letter, link = drafted(self.app.config, about.id, self.who, self.now, days=self.days)
        self.letters.append(letter)
        ends = letter.expires_at
        texts = invitation(view, self.app.config, Link(link, ends), self.now, about.language)
        contact = self.app.store.contact(about.id)
        name, chat = about.shown(about.language), whatsapp(contact.phone, texts.short)
        facts = [about.id, name, about.language, contact.phone, contact.email, link, ends.date()]
        return [*facts, texts.short, chat, texts.subject, texts.body]


def chosen(
    app: Memory,
    now: datetime,
    ids: Iterable[str] = (),
    wanted: Chosen | None = None,
    *,
    missing: bool = False,
) -> Iterator[AssociationView]:
    """The associations of these ids, or else all that are wanted; with `missing` those without a letter.

    Raises InputError where the sheet lists no association of an id.
    """
    named = list(dict.fromkeys(ids))
    if named:
        seen: Iterable[AssociationView] = [_seen(app, one, now) for one in named]
    else:
        seen = views(app.store, app.config, now, wanted)
    return (view for view in seen if not missing or not has_letter(app.store, view.association.id, now))


def _seen(app: Memory, association: str, now: datetime) -> AssociationView:
    view = association_view(app.store, app.config, association, now)
    if view is None:
        raise InputError(association, "no association has this id", "`auditor registry export -` lists them")
    return view


def has_letter(store: Store, association: str, now: datetime) -> bool:
    """Whether an association has a letter that holds."""
    return bool(store.recent_letters(now, state=LetterState.HOLDS, association=association, limit=1))
