"""Opens the stores that the settings name, on behalf of the operating-system user."""

import os
import pwd
from datetime import UTC, datetime

from schemas.errors import WrongUsage
from schemas.settings import Settings
from tasks.runtime.run_settings import current_settings
from warehouse.ledger import Ledger


def current_actor() -> str:
    """Name of the operating-system user, or ``uid-<number>`` where the number has no name."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid-{number}"


def utc_now() -> datetime:
    """The time of day, for time stamps only; nothing is decided by it below the command line."""
    return datetime.now(UTC)


def open_ledger(settings: Settings) -> Ledger:
    """The ledger; whoever opens it first becomes its admin."""
    return Ledger.open(settings.ledger_address, owner=current_actor(), now=utc_now())


def settings_of_a_home() -> Settings:
    """The settings, for commands that look at what is there: looking makes no stores.

    Raises
    ------
    WrongUsage
        Nothing has been run in this home.
    """
    settings = current_settings()
    if not settings.ledger_url and not (settings.home / "ledger.sqlite").is_file():
        raise WrongUsage(f"{settings.home} has no runs yet\n\nHint: `trimtab demo` makes one; TRIMTAB_HOME says where.")
    return settings
