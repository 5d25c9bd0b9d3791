"""Foundations of the auditor: errors, logging, the event loop, output formats and tokens.

This package imports nothing else of the auditor. Start with `errors`.
"""
