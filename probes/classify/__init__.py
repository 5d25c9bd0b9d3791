"""Classification of pages: missing, blocked, parked, spam, closed."""
