"""Signed reports of runs: how they are written, signed and verified."""
