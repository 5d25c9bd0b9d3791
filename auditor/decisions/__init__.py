"""Decisions of users about gaps, and the replies of associations that they review."""
