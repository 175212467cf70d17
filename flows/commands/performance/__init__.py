"""The command about performance."""
