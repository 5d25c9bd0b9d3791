"""Storage of what each run observed. An unchanged result is stored once.

It evaluates nothing. Start with `observations.py` for the queries, then `rows.py` for the
deduplication.
"""
