"""Users: their permissions, passwords and sessions."""
