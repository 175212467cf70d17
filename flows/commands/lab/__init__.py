"""``trimtab lab``, apart from the commands of nights: nothing of it is ever traded."""
