"""Serve a fake web with 100 fictional associations and run the auditor on it.

The demo, the tests and rehearsals use it. The auditor reaches it as any proxy, through
`[fetch] proxy` and `ca_file`, and knows nothing else about it. Start with `play` and
`associations`.
"""
