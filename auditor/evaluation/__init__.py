"""Results derived from stored data: statuses, gaps, coverage, summaries, and views of them.

This package reads the store and applies `auditor.rules`. It makes no requests, except that
re-evaluation replays stored pages. Start with `run_results.evaluate_run` or
`network_view.build_network_overview`.
"""
