"""Maintenance, retention, backup, restore and replay."""
