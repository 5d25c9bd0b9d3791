"""Erasure of personal data and expiry of old data."""
