"""What is stored of the registry: associations, contacts, regions and the audit log."""
