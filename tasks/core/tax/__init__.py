"""Tax rates of gains, and the wash-sale rule."""
