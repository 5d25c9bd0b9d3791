"""What is stored of users and their sessions."""
