"""Discovery of an association's accounts on its own website.

The package knows only the parsed page. It sends no requests and does not know the registry. Start
with `accounts`.
"""
