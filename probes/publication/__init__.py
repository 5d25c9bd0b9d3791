"""When a page or a site was last updated, and how often it is."""
