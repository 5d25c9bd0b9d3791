"""Files outside the database: page bodies, atomic file replacement, and lists spooled to disk.

It knows no database. Start with `storage.files.body_store.BodyStore`.
"""
