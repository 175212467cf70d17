"""What this process makes is for its owner alone. Apart from ``stores``, so that a program can begin with it at no cost."""

import os


def private_files() -> None:
    """From here on, files that this process makes are 0600 and folders 0700."""
    os.umask(0o077)
