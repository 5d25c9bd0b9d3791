"""The data that probes receive and return: accounts, findings, HTTP requests and pages.

These classes do no I/O and know nothing of storage. Start with `probe`, which describes how a probe
runs.
"""
