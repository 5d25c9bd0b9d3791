"""Decisions of people and replies of associations.

This package validates and stores decisions, and lists the replies and proposals that wait for a
coordinator. It does not know how decisions change an account status: that is `auditor.rules`. Start
with `recording.record_decision`.
"""
