"""Storage of audit runs: their state, their plan, and what the workers of a cluster share.

It checks no account. Start with `storage.runs.runs`.
"""
