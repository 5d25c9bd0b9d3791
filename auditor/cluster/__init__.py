"""A night on many machines: one leads it, workers look. Reasons: docs/decisions/0026-many-machines.md."""
