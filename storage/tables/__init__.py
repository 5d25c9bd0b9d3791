"""The tables of the database, and how their rows become models."""
