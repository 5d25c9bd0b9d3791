"""Contacts in a table of their own, and in no summary."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MOVED = ("email", "phone", "media_officer", "note")
STRIPPED = {
    "sqlite": "json_remove(summary, '$.email', '$.phone')",
    "postgresql": "((summary::jsonb - 'email') - 'phone')::text",
}


def upgrade() -> None:
    op.create_table(
        "contact",
        sa.Column("association", sa.Text(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("media_officer", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["association"],
            ["association.id"],
            name=op.f("fk_contact_association"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("association", name=op.f("pk_contact")),
    )
    names = ", ".join(MOVED)
    there = " OR ".join(f"{name} IS NOT NULL" for name in MOVED)
    op.execute(
        f"INSERT INTO contact (association, {names}) SELECT id, {names} FROM association WHERE {there}"  # noqa: S608  # names of ours
    )
    with op.batch_alter_table("association", schema=None) as batch_op:
        for name in MOVED:
            batch_op.drop_column(name)
    op.execute(f"UPDATE summary SET summary = {STRIPPED[op.get_bind().dialect.name]}")  # noqa: S608  # ours


def downgrade() -> None:
    with op.batch_alter_table("association", schema=None) as batch_op:
        for name in MOVED:
            batch_op.add_column(sa.Column(name, sa.String(), nullable=True))
    for name in MOVED:
        op.execute(
            f"UPDATE association SET {name} = (SELECT {name} FROM contact WHERE association = association.id)"  # noqa: S608  # names of ours
        )
    op.drop_table("contact")
