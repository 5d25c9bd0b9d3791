"""Files beside the database: archived page bodies and spooled work."""
