"""Until when a summary holds, and as of which night they are made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("summary", sa.Column("until", sa.Date(), nullable=True))
    op.create_index(op.f("ix_summary_until"), "summary", ["until"], unique=False)
    op.add_column("basis", sa.Column("began", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("basis", "began")
    op.drop_index(op.f("ix_summary_until"), table_name="summary")
    op.drop_column("summary", "until")
