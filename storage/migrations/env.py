"""Entry point of Alembic: runs the revisions on the connection of storage/database/migrate.py."""

from typing import Any, Literal

from alembic import context
from sqlmodel.sql import sqltypes

from storage.tables import communication, runs, summaries, users  # noqa: F401  # the imports register their tables
from storage.tables.core import METADATA, JsonModelType, JsonTupleType, TextEnumType, UTCDateTime
from storage.tables.runs import MicrosecondInterval, MicrosecondTimestamp

PLAIN = {
    sqltypes.AutoString: "sa.String()",
    sqltypes.UTCDateTime: "sa.DateTime(timezone=True)",
    UTCDateTime: "sa.DateTime(timezone=True)",
    JsonModelType: "sa.Text()",
    JsonTupleType: "sa.JSON()",
    TextEnumType: "sa.String()",
    MicrosecondTimestamp: "sa.BigInteger()",
    MicrosecondInterval: "sa.BigInteger()",
}


def render(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Render custom types as SQLAlchemy's, so that a revision does not depend on our classes."""
    return PLAIN.get(type(item), False) if kind == "type" else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    render_item=render,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
