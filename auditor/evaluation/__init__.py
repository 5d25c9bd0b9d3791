"""The results of a run: account status, gaps and summaries, derived from what was stored."""
