"""Approved proposals leave as files: exactly once, whole, signed and delivered."""
