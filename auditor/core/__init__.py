"""Foundations of the auditor: errors, logging, the event loop, formats, phone numbers and tokens.

This package imports nothing else of the auditor. Start with `errors`.
"""
