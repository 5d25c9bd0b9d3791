"""Dates in Arabic, French, English and other texts, and in machine formats.

Knows nothing of HTML or feeds. Start with `parser.parse_date`. `vocabulary` decides what a date
refers to.
"""
