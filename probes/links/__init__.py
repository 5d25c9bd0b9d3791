"""Whose account a link is, and which channel is responsible for it."""
