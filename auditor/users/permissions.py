"""What a user may do, by role and regions (docs/decisions, "Who may do what"). Pure.

Whoever is logged in reads figures, lists, pages of associations and evidence. What concerns persons, and
whatever changes something, is for coordinators: of all regions, or of associations whose region is one of
theirs. One without a region is for those of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from auditor.evaluation.filters import Chosen
from auditor.evaluation.summary import place
from storage.models.audit import Association
from storage.models.summaries import Summary
from storage.models.users import Role, User


def coordinates(user: User | None) -> bool:
    """Whether a user looks after associations, of all regions or of some."""
    return user is not None and user.role in {Role.COORDINATOR, Role.ADMIN}


def acts_everywhere(user: User | None) -> bool:
    """Whether a user looks after the associations of all regions."""
    return user is not None and coordinates(user) and not user.regions


def acts_for(user: User | None, association: Association | Summary) -> bool:
    """Whether a user looks after this association."""
    if user is None or not coordinates(user):
        return False
    return not user.regions or (association.region is not None and place(association.region) in user.regions)


def reach(user: User | None, there: Callable[[], Iterable[str]]) -> frozenset[str] | None:
    """Of the registry's regions, as it writes them, those that a user looks after; None is everywhere."""
    if acts_everywhere(user):
        return None
    own = user.regions if user is not None and coordinates(user) else ()
    return frozenset(typed for typed in there() if place(typed) in own) if own else frozenset()


def narrowed(user: User, chosen: Chosen) -> Iterator[Chosen]:
    """What of those that are chosen a user looks after: all of it, or the part of each of their regions."""
    if acts_everywhere(user):
        yield chosen
    elif coordinates(user):
        wanted = {place(chosen.region)} if chosen.region else set(user.regions)
        yield from (replace(chosen, region=region) for region in sorted(wanted & set(user.regions)))
