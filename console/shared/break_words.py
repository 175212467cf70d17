"""What breaks and executions set aside are called on pages, in words."""

from collections.abc import Mapping
from typing import Any, Final

from console.shared.formatting import dollars, plural, shares
from schemas.enums import Break

MEANINGS: Final[Mapping[Break, str]] = {
    Break.OVERFILLED: "More was filled than ordered.",
    Break.WRONG_SIDE: "Bought where it was to be sold, or the other way round.",
    Break.WRONG_SECURITY: "Another security than ordered.",
    Break.WRONG_ACCOUNT: "Another account than ordered.",
    Break.CONFLICTING: "One message was told in two ways.",
    Break.EXCEPTION_VOID: "It did not get what a person fixed for it of its block.",
    Break.UNKNOWN_ORDER: "It was filled, and no order that left asked for it.",
    Break.UNKNOWN_FILL: "A bust or a correction leads to no fill.",
    Break.REJECTED: "It was turned down.",
    Break.CANCELLED: "It ended before it was filled.",
    Break.NOT_FILLED: "It is not filled yet.",
    Break.NOT_ACKNOWLEDGED: "Nobody has said anything of it.",
    Break.DUPLICATE: "It was told before.",
    Break.UNREAD: "It could not be read.",
}
ASK_WHAT_WAS_DONE: Final = "Ask the broker what was done; it counts for no order."
ADVICE: Final[Mapping[Break, str]] = {
    Break.OVERFILLED: "Ask the broker to take back what is too much; a bust or a correction closes this.",
    Break.WRONG_SIDE: ASK_WHAT_WAS_DONE,
    Break.WRONG_SECURITY: f"{ASK_WHAT_WAS_DONE} Where it has a new name, say so in corporate_actions, and read the file again after that night.",
    Break.WRONG_ACCOUNT: ASK_WHAT_WAS_DONE,
    Break.CONFLICTING: "Ask the broker which one holds; what was told first stands.",
    Break.EXCEPTION_VOID: "Fix its share anew with trimtab allot, or take it back.",
    Break.UNKNOWN_ORDER: "Ask the broker whose it is. Where the order is ours, read the file again once it has left.",
    Break.UNKNOWN_FILL: "Ask the broker for the fill that is meant.",
    Break.REJECTED: "Ask the broker why; the next night looks at the account anew.",
    Break.CANCELLED: "Ask the broker why, where it was to go on; the next night looks at the account anew.",
    Break.NOT_FILLED: "Wait for the broker; ask where it grows old.",
    Break.NOT_ACKNOWLEDGED: "Look under Runs whether the export arrived, then ask the broker.",
    Break.DUPLICATE: "Nothing: it counts once.",
    Break.UNREAD: "Look at the record, and ask the sender for one that can be read.",
}
"""What a person does about it."""


def break_sentence(row: Mapping[str, Any]) -> str:
    """A break of an order with its figures: columns of ``BREAKS`` and ``age_days``."""
    code = Break(row["code"])
    so_far = f"{shares(row['filled_quantity'])} of {shares(row['ordered_quantity'])}"
    amount, days = dollars(row["amount_usd"]), row["age_days"]
    silence = f"for {plural(days, 'day')}" if days else "yet"
    unasked = f"Filled {shares(row['filled_quantity'])} for {amount}"
    told = {
        Break.UNKNOWN_ORDER: f"{unasked}, and no order that left asked for it.",
        Break.OVERFILLED: f"Filled {so_far}: {amount} more than ordered.",
        Break.REJECTED: f"Turned down with {so_far} filled: {amount} not traded.",
        Break.CANCELLED: f"Ended with {so_far} filled: {amount} not traded.",
        Break.NOT_FILLED: f"Filled {so_far}: {amount} to go.",
        Break.NOT_ACKNOWLEDGED: f"Nobody has said anything of it {silence}: {amount}.",
    }
    return told.get(code, MEANINGS[code])
