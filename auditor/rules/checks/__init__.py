"""The closed set of checks, by what they look at: the registry, what was seen, how things are linked."""
