"""Exports, deliveries and abandoned exports."""
