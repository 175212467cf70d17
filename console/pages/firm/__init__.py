"""Pages about the firm as a whole: its book, its models, its people and its settings."""
