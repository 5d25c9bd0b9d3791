"""Reference data: the catalog of gaps and the regions."""
