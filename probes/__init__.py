"""Checks accounts on the web: identifies links, fetches pages politely and concludes findings.

Knows nothing of storage, associations or reports, and imports neither `storage` nor `auditor`.
Start with `probes.models.probe` and a short channel such as `probes.channels.telegram`.
"""
