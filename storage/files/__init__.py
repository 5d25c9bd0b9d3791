"""Files beside the database: compressed page bodies, atomic replacement, and lists spooled to disk.

It knows no database. Start with `storage.files.body_store.BodyStore`.
"""
