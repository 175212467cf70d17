"""The pages, one module each."""

from console.pages import (
    account,
    audit,
    breaks,
    export,
    find,
    household,
    proposal,
    quarantine,
    queue,
    runs,
    security,
    tonight,
)
from console.shared import Backend


def register(backend: Backend) -> None:
    """Make every page reachable."""
    every = (
        tonight,
        queue,
        proposal,
        account,
        household,
        security,
        find,
        breaks,
        quarantine,
        runs,
        export,
        audit,
    )
    for page in every:
        page.register(backend)
