"""The ``trimtab`` command, one module a command."""
