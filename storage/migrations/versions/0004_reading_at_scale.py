"""Reading at scale."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "basis",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_basis")),
    )
    op.create_table(
        "facet",
        sa.Column(
            "facet", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("urgency", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("association", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("facet", "urgency", "association", name=op.f("pk_facet")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stale",
        sa.Column("association", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("association", name=op.f("pk_stale")),
    )
    op.create_table(
        "summary",
        sa.Column("association", sa.String(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("facets", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("urgency", sa.BigInteger(), nullable=False),
        sa.Column(
            "sorted", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("association", name=op.f("pk_summary")),
    )
    with op.batch_alter_table("summary", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_summary_changed_association"), ["changed", "association"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_summary_sorted_association"), ["sorted", "association"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_summary_urgency_association"), ["urgency", "association"], unique=False
        )

    op.create_table(
        "tally",
        sa.Column("cohort", sa.String(), nullable=False),
        sa.Column(
            "facet", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cohort", "facet", name=op.f("pk_tally")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "figure",
        sa.Column("night_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cohort", sa.String(), nullable=False),
        sa.Column("facet", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["night_id"], ["night.id"], name=op.f("fk_figure_night_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("night_id", "cohort", "facet", name=op.f("pk_figure")),
    )
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_account_channel_key"), ["channel", "key"], unique=False
        )

    with op.batch_alter_table("gap", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("shown", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("told", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("rank", sa.Integer(), server_default=sa.text("0"), nullable=False)
        )
        batch_op.create_index(
            batch_op.f("ix_gap_shown_channel_rank_association_id"),
            ["shown", "channel", "rank", "association", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_gap_shown_code_channel_rank_association_id"),
            ["shown", "code", "channel", "rank", "association", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_gap_shown_code_rank_association_id"),
            ["shown", "code", "rank", "association", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_gap_shown_rank_association_id"),
            ["shown", "rank", "association", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_gap_shown_opened_at_id"), ["shown", "opened_at", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_gap_told_rank_closed_at_id"),
            ["told", "rank", "closed_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_gap_told_rank_opened_at_id"),
            ["told", "rank", "opened_at", "id"],
            unique=False,
        )


def downgrade() -> None:
    with op.batch_alter_table("gap", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_gap_told_rank_opened_at_id"))
        batch_op.drop_index(batch_op.f("ix_gap_told_rank_closed_at_id"))
        batch_op.drop_index(batch_op.f("ix_gap_shown_opened_at_id"))
        batch_op.drop_index(batch_op.f("ix_gap_shown_rank_association_id"))
        batch_op.drop_index(batch_op.f("ix_gap_shown_code_rank_association_id"))
        batch_op.drop_index(batch_op.f("ix_gap_shown_code_channel_rank_association_id"))
        batch_op.drop_index(batch_op.f("ix_gap_shown_channel_rank_association_id"))
        batch_op.drop_column("rank")
        batch_op.drop_column("told")
        batch_op.drop_column("shown")

    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_channel_key"))

    op.drop_table("figure")
    op.drop_table("tally")
    with op.batch_alter_table("summary", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_summary_urgency_association"))
        batch_op.drop_index(batch_op.f("ix_summary_sorted_association"))
        batch_op.drop_index(batch_op.f("ix_summary_changed_association"))

    op.drop_table("summary")
    op.drop_table("stale")
    op.drop_table("facet")
    op.drop_table("basis")
