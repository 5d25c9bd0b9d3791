"""What probes take and give: accounts, findings, HTTP pages."""
