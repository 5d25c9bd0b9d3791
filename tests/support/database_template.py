"""What the databases of the tests have in common, so that each need not make it anew.

New ones begin as a copy of one that was brought to the newest schema: Alembic takes longer for that than most
tests do for all else. `MADE` makes one as the auditor does. And they share the statements that SQLAlchemy
compiled: an engine has its own otherwise, and a first night compiles a hundred, for longer than it runs them.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import storage.database.engine
import storage.database.sqlite_file

MADE = storage.database.sqlite_file._create_beside


def copies_of(template: Path) -> None:
    """From now on a new database is a copy of this one, which is made first."""
    storage.database.sqlite_file.create_database_file(template)

    def copied(new: Path, file: Path) -> None:
        try:
            shutil.copyfile(template, new)
            with suppress(FileExistsError):
                os.link(new, file)
        finally:
            new.unlink(missing_ok=True)

    storage.database.sqlite_file._create_beside = copied


def statements_shared() -> None:
    """From now on every SQLite engine of this process uses the statements that another one compiled."""
    make = storage.database.engine.create_engine
    first = make("sqlite://")
    first.connect().close()  # a dialect learns of its server when it first connects
    compiled = {}

    def sharing(address, **options):
        engine = make(address, **options)
        if engine.dialect.name == "sqlite":
            engine.dialect = first.dialect  # a statement is compiled for one dialect, by identity
            engine.update_execution_options(compiled_cache=compiled)
        return engine

    storage.database.engine.create_engine = sharing
