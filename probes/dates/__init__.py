"""Dates in Arabic, French and English text and in machine formats."""
