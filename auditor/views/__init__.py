"""What pages and exports show, put together from stored results."""
