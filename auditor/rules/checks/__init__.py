"""The fixed set of checks: registry, reachability and activity, links and names.

Each module has the rule models of one subject. They only use a `RuleContext`. Start with
`base.Rule`.
"""
