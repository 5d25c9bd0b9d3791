"""Files outside the database: page bodies and atomic file replacement.

It knows no database. Start with `storage.files.body_store.BodyStore`.
"""
