"""The scheduler and the server process."""
