"""Faults of databases and disks, translated into our errors."""
