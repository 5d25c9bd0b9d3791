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
