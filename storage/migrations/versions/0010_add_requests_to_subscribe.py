"""Add requests to subscribe.

An existing subscription to the report of an association counts as made through a report link: if
links are revoked, it ends, and can be made again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "subscription_request",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("association", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["association"],
            ["association.id"],
            name=op.f("fk_subscription_request_association"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_subscription_request")),
    )
    for column in ("address", "association", "requested_at"):
        op.create_index(op.f(f"ix_subscription_request_{column}"), "subscription_request", [column])
    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.add_column(sa.Column("is_from_report_link", sa.Boolean(), nullable=True))
    subscription = sa.table(
        "subscription", sa.column("association"), sa.column("is_from_report_link", sa.Boolean())
    )
    is_from_report_link = subscription.c.association != ""
    op.execute(subscription.update().values(is_from_report_link=is_from_report_link))
    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.alter_column("is_from_report_link", nullable=False)
    op.create_index(op.f("ix_subscription_association"), "subscription", ["association"])
