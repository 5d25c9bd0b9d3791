"""Short forms of findings for assertions."""

from probes.models.finding import Finding, Presence, Reason


def verdict(finding: Finding) -> tuple[Presence, Reason | None]:
    """Return what a finding says about its account."""
    return finding.presence, finding.reason
