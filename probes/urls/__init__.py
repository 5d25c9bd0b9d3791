"""URLs: normalized, resolved, unwrapped, and their registrable domains."""
