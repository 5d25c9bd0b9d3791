"""What people see: views of lists, reports, report links and messages."""
