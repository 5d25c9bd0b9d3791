"""Backups of the database, and pruning of old evidence.

This package decides what may be deleted; `storage` deletes it. Start with `backups` or
`evidence_pruning`.
"""
