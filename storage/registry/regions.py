"""Where associations are: what narrows a list to some regions in its query, and not after its pages."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, select

from storage.database.connection import Database
from storage.sanitize import sanitize
from storage.tables.core import ASSOCIATION

RegionFilter = Collection[str] | None
"""Regions as the registry writes them; None is everywhere, also where no region is known."""


class RegionQueries:
    """The query of regions. A part of `Store`."""

    _database: Database

    def list_regions(self) -> set[str]:
        """The regions of associations, each spelling that the registry has."""
        query = select(ASSOCIATION.c.region).distinct().where(ASSOCIATION.c.region.is_not(None))
        with self._database.begin_read() as connection:
            return set(connection.execute(query).scalars())


def build_region_filter(
    association_column: Any, regions: RegionFilter
) -> tuple[ColumnElement[bool], ...]:
    """What makes the association of a column one of these regions."""
    if regions is None:
        return ()
    here = select(ASSOCIATION.c.id).where(ASSOCIATION.c.region.in_(sanitize(sorted(regions))))
    return (association_column.in_(here),)
