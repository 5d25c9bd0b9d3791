"""Read and validate the configuration.

It knows which settings exist and what their values may be. It does not know how they are used.
Start with `schema.load_config`.
"""
