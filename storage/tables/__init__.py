"""The database tables as SQLModel classes, and functions that turn rows into models.

Only `storage` uses them; other packages see `storage.models`. Start with `storage.tables.core`.
"""
