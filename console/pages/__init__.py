"""The pages, one module each."""

from console.pages import account, audit, breaks, proposal, quarantine, queue, runs, tonight
from console.shared import Backend


def register(backend: Backend) -> None:
    """Make every page reachable."""
    for page in (tonight, queue, proposal, account, breaks, quarantine, runs, audit):
        page.register(backend)
