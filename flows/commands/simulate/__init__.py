"""``trimtab simulate``: a broker that is none, for trying the whole circle; nothing of it touches orders that left for good."""
