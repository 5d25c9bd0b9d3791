"""The parts of the website channel."""
