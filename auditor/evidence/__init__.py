"""The evidence of a finding: how it is stored and how it is shown."""
