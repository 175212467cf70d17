"""``trimtab changes`` and ``trimtab goal``: whose model an account should have."""
