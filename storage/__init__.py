"""Storage of all data: a SQLite or PostgreSQL database, and page bodies in a folder.

It knows the probes' models and nothing of the `auditor` package: no rule, page, message or
configuration. SQL stays inside. Start with `storage.store.Store`, then read `storage.models` and
`storage.tables`.
"""
