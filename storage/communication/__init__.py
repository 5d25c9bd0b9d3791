"""What is stored of the communication with associations."""
