"""Users of the pages: accounts, passwords, permissions and sessions.

This package knows nothing of HTTP: cookies and forms are in `auditor.web`. Start with `service`.
"""
