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
    for page in (tonight, queue, proposal, account, household, security, find, breaks, quarantine, runs, export, audit):
        page.register(backend)
