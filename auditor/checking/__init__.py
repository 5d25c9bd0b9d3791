"""Checks single accounts: runs probes, reuses unchanged results and removes private data.

Canaries, circuit breakers and the clock test decide whether results can be trusted. The package
knows neither queues nor gaps. Start reading with `checker.AccountChecker`.
"""
