"""An association, and a gap, as one line of the coordinator's lists. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.view import AssociationView
from storage.model import Gap


@dataclass(frozen=True, slots=True)
class Line:
    """An association in a list: who it is, how to reach it, and what is open, gravest first."""

    id: str
    name: str
    region: str | None
    city: str | None
    phone: str | None
    email: str | None
    level: str
    percent: int | None
    gaps: tuple[Gap, ...]

    @property
    def count(self) -> int:
        """How many gaps are open."""
        return len(self.gaps)

    @property
    def dialled(self) -> str:
        """Its telephone number as a telephone takes it."""
        return dialled(self.phone)


@dataclass(frozen=True, slots=True)
class GapLine:
    """A gap in a list, with the name of whose it is."""

    gap: Gap
    name: str


def dialled(phone: str | None) -> str:
    """A telephone number as a telephone takes it; empty where there is none."""
    return "".join(sign for sign in phone or "" if sign in "+0123456789")


def line(view: AssociationView, language: str) -> Line:
    """An association's line in a language."""
    about = view.association
    return Line(
        about.id,
        about.shown(language),
        about.region,
        about.city,
        about.phone,
        about.email,
        view.score.level,
        view.score.percent,
        view.gaps,
    )
