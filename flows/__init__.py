"""Prefect flows: the order of the steps, no arithmetic. ``cli`` is the ``trimtab`` command."""
