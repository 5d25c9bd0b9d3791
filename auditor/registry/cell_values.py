"""Text of the values that libraries return for the cells of a workbook."""

from datetime import date, datetime, time


def format_cell_value(value: object) -> str:
    """Return the text of a cell value.

    Whole numbers have no decimals, because a postcode may be stored as 20857.0.
    """
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case float() if value.is_integer():
            return str(int(value))
        case datetime() if value.time().replace(microsecond=0) == time.min:
            return value.date().isoformat()
        case date():
            return value.isoformat()
        case _:
            return str(value)


MAX_ID_CHARACTERS = 200
"""Characters of the id of an association, which is part of the addresses of its pages."""
RESERVED_ID_ENDINGS = frozenset(
    {"accounts", "checks", "create", "decisions", "follow-ups", "renew", "revoke"}
)
"""Words after an id in the address of a page. After a slash in an id they name another page."""


def is_usable_id(text: str) -> bool:
    """Return True if the page of an association with this id has an address.

    Browsers and proxies shorten empty parts and the parts `.` and `..` of an address.
    """
    first, *others = text.split("/")
    if len(text) > MAX_ID_CHARACTERS or not {"", ".", ".."}.isdisjoint((first, *others)):
        return False
    return RESERVED_ID_ENDINGS.isdisjoint(others)
