"""The stored data that rules evaluate, as plain data: dataclasses, and the model of run reports.

They hold no SQL and no rule. Users, report links and replies are classes of `storage.tables`. Start
with `storage.models.audit`.
"""
