"""Accounts of an association that its website links to."""
