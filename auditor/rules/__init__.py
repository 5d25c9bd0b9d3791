"""The rules: from findings to account status, gaps and score. Pure functions."""
