"""The regions of associations, and the condition that limits a query to some regions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, select

from storage.database.connection import Database
from storage.sanitize import sanitize
from storage.tables.core import ASSOCIATION

RegionFilter = Collection[str] | None
"""Regions as spelt in the registry. None means all associations, also those without a region."""


class RegionQueries:
    """The part of `Store` for regions."""

    _database: Database

    def list_regions(self) -> set[str]:
        """Return the regions of associations in every spelling of the registry."""
        query = select(ASSOCIATION.c.region).distinct().where(ASSOCIATION.c.region.is_not(None))
        with self._database.begin_read() as connection:
            return set(connection.execute(query).scalars())


def build_region_filter(
    association_column: Any, regions: RegionFilter
) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that the association of a column is in one of these regions."""
    if regions is None:
        return ()
    ids = select(ASSOCIATION.c.id).where(ASSOCIATION.c.region.in_(sanitize(sorted(regions))))
    return (association_column.in_(ids),)
