"""Copies of the stores: backup and restore."""
