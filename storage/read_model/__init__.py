"""Tables derived for fast lists: a summary of each association, its facets, and their counts.

Everything here can be rebuilt from other tables. It renders nothing and applies no rule. Start with
`storage.read_model.summaries`, which describes the facets and invariants.
"""
