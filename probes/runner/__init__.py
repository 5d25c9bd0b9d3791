"""Runs probes: fetches their pages, parses them in worker processes and batches API calls.

Knows nothing of storage. Start with `run.run_probe`.
"""
