"""Derives statuses, gaps, coverage and summaries from stored data, and records decisions of people.

The package reads the store and applies `auditor.rules`. It makes no requests: re-evaluation replays
stored pages. Start reading with `run_results.evaluate_run`, `network_view.build_network_overview`
or `recording.record_decision`.
"""
