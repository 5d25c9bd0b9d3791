"""Sees: what a link is, what a page says, and how to ask for one politely. Imports nothing of ours."""
