"""Pages of what accounts have earned."""
