"""What is stored of checks: observations, without repeating equal ones."""
