"""Running probes: requests are sent, and pages are parsed in other processes."""
