"""Connections, transactions, the SQLite file, and the schema revisions.

It knows no model and no query of the application. Start with
`storage.database.connection.Database`.
"""
