"""Sort gaps by kind.

`severity_rank` becomes `sort_rank`. Its values are written again when the summaries are refreshed.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

INDEXED_COLUMNS = (
    ("is_visible", "{rank}", "association", "id"),
    ("is_visible", "code", "{rank}", "association", "id"),
    ("is_visible", "channel", "{rank}", "association", "id"),
    ("is_visible", "code", "channel", "{rank}", "association", "id"),
    ("is_reportable", "{rank}", "opened_at", "id"),
    ("is_reportable", "{rank}", "closed_at", "id"),
)


def upgrade() -> None:
    with op.batch_alter_table("gap", schema=None) as batch_op:
        for columns in INDEXED_COLUMNS:
            batch_op.drop_index(batch_op.f(_get_index_name(columns, "severity_rank")))
    op.alter_column("gap", "severity_rank", new_column_name="sort_rank")
    with op.batch_alter_table("gap", schema=None) as batch_op:
        for columns in INDEXED_COLUMNS:
            names = [column.format(rank="sort_rank") for column in columns]
            batch_op.create_index(batch_op.f(_get_index_name(columns, "sort_rank")), names)


def _get_index_name(columns: tuple[str, ...], rank: str) -> str:
    return "ix_gap_" + "_".join(columns).format(rank=rank)
