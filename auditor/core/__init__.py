"""What everything else stands on: errors, logging, the event loop, output formats and tokens."""
