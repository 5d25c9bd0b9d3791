"""Builds what people see: views of lists, reports, report links and messages.

It evaluates no account. Start with `views`, `reports` or `notifications`.
"""
