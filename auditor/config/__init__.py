"""The configuration: its schema, how it is loaded, and what is said about a mistake in it."""
