"""Text of the values that libraries return for the cells of a workbook."""

from datetime import date, datetime

MAX_COLUMNS = 300
"""Number of columns that are read of a sheet."""


def format_cell_value(value: object) -> str:
    """Return the text of a cell value.

    Whole numbers have no decimals, because a postcode may be stored as 20857.0.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime) and not (value.hour or value.minute or value.second):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)
