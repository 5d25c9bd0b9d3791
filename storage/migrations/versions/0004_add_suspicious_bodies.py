"""Add suspicious bodies."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("probe_result", schema=None) as batch_op:
        batch_op.add_column(sa.Column("suspicious_body", sa.String(), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_probe_result_suspicious_body_account_id"),
            ["suspicious_body", "account_id"],
            unique=False,
            sqlite_where=sa.text("suspicious_body IS NOT NULL"),
        )
