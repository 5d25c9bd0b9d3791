"""Polite HTTP: fetching, redirects, connections, name resolution and protection against SSRF."""
