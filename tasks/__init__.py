"""Prefect tasks: read the lake, call the core, write the lake; a few lines each."""
