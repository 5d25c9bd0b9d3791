"""Signed receipts of runs: their content, signatures and chain.

This package knows nothing of HTTP or rules. `receipt` builds and verifies receipts, `signing` has
the keys. Start with `receipt.build_finished_receipt`.
"""
