"""Builds whatever people see: views of lists, reports, report links and messages."""
