"""The condition that limits a query to associations of some regions."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, select

from storage.sanitize import sanitize
from storage.tables.core import ASSOCIATION

RegionFilter = Collection[str] | None
"""Regions as spelt in the registry. None means all associations, also those without a region."""


def build_region_filter(
    association_column: Any, regions: RegionFilter
) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that the association of a column is in one of these regions."""
    if regions is None:
        return ()
    ids = select(ASSOCIATION.c.id).where(ASSOCIATION.c.region.in_(sanitize(sorted(regions))))
    return (association_column.in_(ids),)
