"""What breaks and executions set aside are called on pages, in words."""

from collections.abc import Mapping
from typing import Any, Final

from console.words import dollars, plural, shares
from schemas.enums import Break

MEANINGS: Final[Mapping[Break, str]] = {
    Break.OVERFILLED: "More was filled than ordered.",
    Break.WRONG_SIDE: "Bought where it was to be sold, or the other way round.",
    Break.WRONG_SECURITY: "Another security than ordered.",
    Break.WRONG_ACCOUNT: "Another account than ordered.",
    Break.CONFLICTING: "One message was told in two ways.",
    Break.EXCEPTION_VOID: "It did not get what a person fixed for it of its block.",
    Break.UNKNOWN_ORDER: "It names no order that left.",
    Break.UNKNOWN_FILL: "A bust or a correction leads to no fill.",
    Break.REJECTED: "It was turned down.",
    Break.CANCELLED: "It ended before it was filled.",
    Break.NOT_FILLED: "It is not filled yet.",
    Break.NOT_ACKNOWLEDGED: "Nobody has said anything of it.",
    Break.DUPLICATE: "It was told before.",
    Break.UNREAD: "It could not be read.",
}


def break_sentence(row: Mapping[str, Any]) -> str:
    """A break of an order with its figures: columns of ``BREAKS`` and ``age_days``."""
    code = Break(row["code"])
    so_far = f"{shares(row['filled_quantity'])} of {shares(row['ordered_quantity'])}"
    amount, days = dollars(row["amount_usd"]), row["age_days"]
    silence = f"for {plural(days, 'day')}" if days else "yet"
    told = {
        Break.OVERFILLED: f"Filled {so_far}: {amount} more than ordered.",
        Break.REJECTED: f"Turned down with {so_far} filled: {amount} not traded.",
        Break.CANCELLED: f"Ended with {so_far} filled: {amount} not traded.",
        Break.NOT_FILLED: f"Filled {so_far}: {amount} to go.",
        Break.NOT_ACKNOWLEDGED: f"Nobody has said anything of it {silence}: {amount}.",
    }
    return told.get(code, MEANINGS[code])
