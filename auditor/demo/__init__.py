"""The practice web: a forward proxy on loopback that answers for the whole web, with fictional associations.

The demo, the tests and a coordinator's rehearsal run on it. The auditor reaches it as it would any
proxy, through `[fetch] proxy` and `ca_file`, and knows nothing else of it.
"""
