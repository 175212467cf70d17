"""Who is sitting at the terminal."""

import os
import pwd


def current_actor() -> str:
    """Name of the operating-system user, or ``uid-<number>`` where the number has no name."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid-{number}"
