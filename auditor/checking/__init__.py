"""Check one account: run its probe, repeat unchanged results, remove private data.

This package does not know runs, queues or rules. Start with `checker.AccountChecker`.
"""
