"""A revision of the registry: a sheet beside what is kept, to be shown before it is taken over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from auditor.difference import Line, difference, leaving, shared, unsaid
from auditor.problems import Problem
from auditor.registry import Reading
from auditor.wording import Wording
from storage.changes import Changes
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Revision:
    """What a sheet would change, and what is odd about it."""

    reading: Reading
    changes: Changes
    lines: list[Line]
    problems: list[Problem]

    def unsaid(self, words: Wording) -> str:
        """Which columns it lacks where something is known, as a sentence, or nothing."""
        return unsaid(self.changes, words)

    def leaving(self, words: Wording) -> str:
        """How many associations it does not list, and what becomes of them, as a sentence, or nothing."""
        return leaving(self.changes, words)

    @property
    def digest(self) -> str:
        """What it would change, in short."""
        return self.changes.digest


def revision(store: Store, reading: Reading, now: datetime, *, prune: bool = False) -> Revision:
    """Compare a sheet with the registry; change nothing."""
    people, links = reading.associations, reading.accounts
    changes = store.save_registry(people, links, now, said=reading.said, prune=prune, dry_run=True)
    return Revision(reading, changes, difference(changes), [*reading.problems, *shared(reading, changes)])
