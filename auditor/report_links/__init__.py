"""Personal links by which an association reads its report."""
