"""Narrow observations.

The time of a check becomes the time since the start of its run. The text with the values that
differ in every run becomes the column of the only one that is read, the duration of the page.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    _replace_table()
    seconds = _SQLITE_SECONDS if is_sqlite else _POSTGRESQL_SECONDS
    _copy_rows(f"o.observed_at - {_get_run_start(is_sqlite)}", seconds)


def _get_run_start(is_sqlite: bool) -> str:
    """Return an expression for the start of a run in microseconds since 1970."""
    if is_sqlite:
        return (
            "(CAST(strftime('%s', r.started_at) AS INTEGER) * 1000000"
            " + CAST(substr(r.started_at, 21, 6) AS INTEGER))"
        )
    return "CAST(extract(epoch FROM r.started_at) * 1000000 AS bigint)"


# The text is "times of pages/seconds". Without it, the row repeats the seconds of its result.
_SQLITE_SECONDS = """
    CASE WHEN json_extract(p.finding, '$.facts.seconds') IS NULL THEN NULL
         WHEN instr(o.per_run_values, '/') > 0
         THEN CAST(substr(o.per_run_values, instr(o.per_run_values, '/') + 1) AS INTEGER)
         ELSE CAST(json_extract(p.finding, '$.facts.seconds') AS INTEGER) END"""
_POSTGRESQL_SECONDS = """
    CASE WHEN p.finding::json #>> '{facts,seconds}' IS NULL THEN NULL
         WHEN strpos(o.per_run_values, '/') > 0
         THEN CAST(CAST(split_part(o.per_run_values, '/', 2) AS numeric) AS integer)
         ELSE CAST(CAST(p.finding::json #>> '{facts,seconds}' AS numeric) AS integer) END"""


def _replace_table() -> None:
    """Rename the table to `old_observation`, and create it with the new columns."""
    op.rename_table("observation", "old_observation")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("ALTER TABLE old_observation DROP CONSTRAINT pk_observation")
    op.create_table(
        "observation",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("checked_after", sa.BigInteger(), nullable=False),
        sa.Column("result_id", sa.BigInteger(), nullable=False),
        sa.Column("presence", sa.SmallInteger(), nullable=False),
        sa.Column("probe_version", sa.SmallInteger(), nullable=False),
        sa.Column("response_seconds", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"], ["audit_run.id"], name=op.f("fk_observation_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "account_id", name=op.f("pk_observation")),
        sqlite_with_rowid=False,
    )


def _copy_rows(checked_after: str, response_seconds: str) -> None:
    """Copy the rows in the order of their key, and drop the old table."""
    names = ("run_id", "account_id", "result_id", "presence", "probe_version")
    source = sa.text(
        "old_observation o JOIN audit_run r ON r.id = o.run_id"
        " LEFT JOIN probe_result p ON p.id = o.result_id"
    )
    copied: list[sa.ColumnElement[object]] = [sa.literal_column(f"o.{name}") for name in names]
    copied += [sa.literal_column(checked_after), sa.literal_column(response_seconds)]
    rows = sa.select(*copied).select_from(source).order_by(*copied[:2])
    columns = [*names, "checked_after", "response_seconds"]
    table = sa.table("observation", *map(sa.column, columns))
    op.execute(table.insert().from_select(columns, rows))
    op.drop_table("old_observation")
