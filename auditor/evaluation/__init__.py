"""Derives statuses, gaps, coverage and summaries from stored data, and builds views of them.

The package reads the store and applies `auditor.rules`. It makes no requests: re-evaluation replays
stored pages. Start reading with `run_results.evaluate_run` or
`network_view.build_network_overview`.
"""
