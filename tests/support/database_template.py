"""Makes new databases cheap for tests.

A new database is a copy of a template, because an upgrade by Alembic takes longer than most tests.
`CREATE_WITH_MIGRATIONS` creates one as the auditor does. All SQLite engines share compiled
statements, because a first run compiles a hundred of them, which takes longer than executing them.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import storage.database.engine
import storage.database.sqlite_file

CREATE_WITH_MIGRATIONS = storage.database.sqlite_file._create_beside


def use_template(template: Path) -> None:
    """Create this template, and let every new database be a copy of it from now on."""
    storage.database.sqlite_file.create_database_file(template)

    def copy_template(new: Path, file: Path) -> None:
        shutil.copyfile(template, new)
        with suppress(FileExistsError):
            os.link(new, file)

    storage.database.sqlite_file._create_beside = copy_template


def share_compiled_statements() -> None:
    """Let all SQLite engines of this process share compiled statements from now on."""
    create_engine = storage.database.engine.create_engine
    first_engine = create_engine("sqlite://")
    first_engine.connect().close()  # a dialect reads its server's version when it first connects
    compiled = {}

    def create_sharing_engine(address, **options):
        engine = create_engine(address, **options)
        if engine.dialect.name == "sqlite":
            engine.dialect = first_engine.dialect  # statements are cached by the dialect's identity
            engine.update_execution_options(compiled_cache=compiled)
        return engine

    storage.database.engine.create_engine = create_sharing_engine
