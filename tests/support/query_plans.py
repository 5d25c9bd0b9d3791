"""Records the query plans of SQLite, and finds those that read a whole large table."""

import re
from contextlib import contextmanager

from sqlalchemy import event

from storage.tables import communication, runs, summaries, users  # noqa: F401  # the imports register their tables
from storage.tables.core import METADATA

SMALL_TABLES = {"audit_run", "summary_version", "user"}
"""One row a day, one row in all, one row for each user."""
LARGE_TABLE = f"(?:{'|'.join(sorted(METADATA.tables.keys() - SMALL_TABLES))})(?:_\\d+)?"
TABLE_SCAN = re.compile(rf"\bSCAN {LARGE_TABLE}\b")
LIMITED_SCAN = re.compile(
    r"FROM \w+ ORDER BY [\w., ]+? LIMIT \? OFFSET \?$|FROM association_summary\b.* LIMIT \?"
)
"""A scan that ends when it has enough rows: without conditions, or of common facets."""
FLAG_SEARCH = re.compile(
    rf"\bSEARCH {LARGE_TABLE} USING (?:COVERING )?INDEX \S+"
    r" \((?:is_reportable|is_visible|closed_at)=\?\)(?!.* LIMIT )"
)
"""A search by a flag that most rows have reads nearly all of them, unless it has a limit."""


@contextmanager
def record_query_plans(store):
    """Yield a list of the steps that SQLite plans for each executed query, each with its query."""
    steps = []
    engine = store._engine

    def explain(connection, _cursor, statement, parameters, *_):
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE")):
            rows = connection.connection.driver_connection.execute(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            steps.extend(f"{row[3]}    <- {' '.join(statement.split())}" for row in rows)

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield steps
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def find_table_scans(steps):
    """Return the steps that read a whole table."""
    return [
        step
        for step in steps
        if (TABLE_SCAN.search(step) and not LIMITED_SCAN.search(step)) or FLAG_SEARCH.search(step)
    ]
