"""What is stored, as plain and frozen data classes."""
