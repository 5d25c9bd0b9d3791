"""Rules: from findings and decisions to account status, gaps, link reciprocity and score.

Everything here is a pure function. It must not know storage queries, HTTP or the clock. Start with
`association.evaluate_association`.
"""
