"""What leaves: the tables of an export, blocks, and the formats of order files."""
