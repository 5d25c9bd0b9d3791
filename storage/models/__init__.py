"""The stored data as plain, frozen dataclasses.

They hold no SQL and no rule. `Store` takes and returns only these. Start with
`storage.models.audit`.
"""
