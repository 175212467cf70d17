"""Take the sources' files, name the run after them, and land them in the lake."""
