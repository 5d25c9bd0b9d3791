"""Create the initial schema from the tables.

No version was released yet, so every database has the tables of today. The first release replaces
this revision by one that lists them, see `docs/contributing/common-changes.md`.
"""

from alembic import op

from storage.tables.core import METADATA

revision = "0001"
down_revision = None


def upgrade() -> None:
    METADATA.create_all(op.get_bind(), checkfirst=False)
