"""The database tables as SQLModel classes, and functions that turn rows into models.

Other packages use the rows of `users` and `communication` as they are, and `storage.models` for the
rest. Start with `storage.tables.core`.
"""
