"""Builds the data of the coordinators' pages, the JSON output and the exports from stored results.

The package returns plain values. It must not render HTML, read the clock or fetch anything. Start
reading in `dashboard`, which builds the first page, and in `export`, which lists every export kind.
"""
