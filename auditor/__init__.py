"""Judges and tells: the night, standings, gaps, reports and the command line."""

__version__ = "26.1.0"
