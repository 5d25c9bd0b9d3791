"""What is kept and for how long: backups and old evidence."""
