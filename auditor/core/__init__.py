"""Foundations: errors, logging, the event loop, formats, languages, texts and templates."""
