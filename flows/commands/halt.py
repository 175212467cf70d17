"""``trimtab halt`` stops all that leaves; ``trimtab resume`` without a run lets it go on."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer

from flows.commands.say import say
from flows.commands.terminal import notice
from tasks.runtime import current_actor, open_ledger, settings_of_a_home
from warehouse.ledger import HaltRow

HOW_TO_LIFT = "A releaser or an admin lifts the halt with `trimtab resume --note WHY`."


def halt(note: Annotated[str, typer.Option("--note", help="Why; recorded and shown.")]) -> None:
    """Stop everything that leaves: exports, also one under way, and the release of held runs. Until `trimtab resume`."""
    with closing(open_ledger(settings_of_a_home())) as ledger:
        earlier = ledger.halts.halt(current_actor(), note, datetime.now(UTC))
    if earlier is not None:
        notice(f"It was {sentence(earlier)} already; that halt stands.")
    say(f"Halted: nothing is exported and no held run goes on. {HOW_TO_LIFT}")


def lift(note: str) -> None:
    """Lift the halt in force."""
    with closing(open_ledger(settings_of_a_home())) as ledger:
        lifted = ledger.halts.lift_halt(current_actor(), note, datetime.now(UTC))
    say(f"Lifted what was {sentence(lifted)}. `trimtab export` finishes an export that it stopped.")


def sentence(halt: HaltRow) -> str:
    """Since when, by whom and why."""
    return f"halted since {halt.halted_at:%Y-%m-%d %H:%M} UTC by {halt.actor}: {halt.note}"
