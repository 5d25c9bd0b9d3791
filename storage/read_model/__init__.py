"""Summaries and searches for pages."""
