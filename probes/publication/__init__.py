"""Dates of publication: finds the newest one in pages, feeds and sitemaps.

The package knows neither channels nor accounts, sends no requests and reads no clock. Start with
`latest`.
"""
