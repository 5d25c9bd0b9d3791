"""Tells: digests, monthly reports and the ping, from what is news to how it is sent."""
