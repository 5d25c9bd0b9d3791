"""Build the pages and API responses of the fake web, one module per platform."""
