"""Parsers of what the web sends: HTML, feeds, sitemaps and JSON."""
