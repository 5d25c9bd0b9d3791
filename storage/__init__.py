"""Remembers: associations, nights, observations, evidence and decisions. Imports `probes` only."""
