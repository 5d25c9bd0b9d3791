"""The database itself: connections, engine, migrations, backups."""
