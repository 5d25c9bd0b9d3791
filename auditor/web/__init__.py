"""The web: the coordinator's pages and the associations' own reports, complete without JavaScript."""
