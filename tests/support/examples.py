"""How many examples a property is tried on: fewer where another run of the same tests searches, and this one tries an interpreter."""

import os
from typing import Final

MOST: Final = os.environ.get("TEST_MAX_EXAMPLES")


def at_most(count: int) -> int:
    """``count``, or the variable ``TEST_MAX_EXAMPLES`` where that is less."""
    return count if MOST is None else min(count, int(MOST))
