"""Which of the names found at a source stand for files that may be taken."""

from collections.abc import Callable, Collection
from typing import Final

from schemas.errors import SourceUnreachable

UNFINISHED: Final = (".part", ".tmp", ".filepart")
"""Endings that programs give to files while they write them."""


def is_takeable(name: str) -> bool:
    """Whether a file of this name may ever be taken: not hidden, not unfinished, and safe as a name on this machine.

    No path separator, no control character, no byte that was not text.
    """
    is_safe = name.isprintable() and not {"/", "\\"} & set(name)
    return is_safe and bool(name) and not name.startswith(".") and not name.lower().endswith(UNFINISHED)


def names_to_take(found: Collection[str], is_wanted: Callable[[str], bool], marker: str) -> list[str]:
    """Names among those found that are wanted; sorted. A marker's own file is never taken. Every name found is asked for.

    Raises
    ------
    SourceUnreachable
        There is a ``marker``, and a wanted file has not got its own beside it: the night must not run on the others alone.
    """
    names = sorted(name for name in found if is_wanted(name) and is_takeable(name))
    if not marker:
        return names
    names = [name for name in names if not name.endswith(marker)]
    beside = set(found)
    for name in names:
        if f"{name}{marker}" not in beside:
            raise SourceUnreachable(
                f"{name} has no {name}{marker} beside it; needed that as the sign that it is complete\n\n"
                "Hint: run the night again when it has come."
            )
    return names
