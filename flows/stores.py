"""Opens the stores that the settings name, on behalf of who sits at the terminal."""

from datetime import UTC, datetime

from flows.actor import current_actor
from schemas.settings import Settings
from warehouse.ledger import Ledger


def open_ledger(settings: Settings) -> Ledger:
    """The ledger; whoever opens it first becomes its admin."""
    return Ledger.open(settings.ledger_address, owner=current_actor(), now=datetime.now(UTC))
