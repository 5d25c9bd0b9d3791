"""What SQLite plans for the queries that are asked, and which of them would read a whole large table."""

import re
from contextlib import contextmanager

from sqlalchemy import event

from storage.tables.core import METADATA

SMALL = {"audit_run", "summary_version", "user"}
"""A row a day, a row in all, a row for each who may log in."""
LARGE = f"(?:{'|'.join(sorted(METADATA.tables.keys() - SMALL))})(?:_\\d+)?"
WHOLE = re.compile(rf"\bSCAN {LARGE}\b")
ENDS = re.compile(r"FROM \w+ ORDER BY [\w., ]+? LIMIT \? OFFSET \?$")
"""A walk that asks nothing more of the rows: it is over as soon as there are enough."""
FLAGGED = re.compile(
    rf"\bSEARCH {LARGE} USING (?:COVERING )?INDEX \S+ \((?:is_reportable|is_visible|closed_at)=\?\)(?!.* LIMIT )"
)
"""A flag that most rows have finds no fewer than all, unless it is known, or is to be counted, how few."""


@contextmanager
def plans(store):
    """What SQLite plans for each query that is asked meanwhile, each step before its query."""
    told = []
    engine = store._database._engine

    def explain(connection, _cursor, statement, parameters, *_):
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE")):
            rows = connection.connection.driver_connection.execute(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            told.extend(f"{row[3]}    <- {' '.join(statement.split())}" for row in rows)

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield told
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def whole(told):
    """The steps that read a whole table."""
    return [
        plan
        for plan in told
        if (WHOLE.search(plan) and not ENDS.search(plan)) or FLAGGED.search(plan)
    ]
