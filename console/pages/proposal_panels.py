"""Panels of a proposal: tax, cash, the proof, rules, the history, and what differs from the one before."""

from collections.abc import Sequence
from typing import Any, Final

from nicegui import ui

from console.pages.parts import facts, panel, plain_table
from console.shared import clock, day, dollars, percent, shares, word
from schemas.enums import Reason
from tasks.core.propose import OrderChange
from warehouse.ledger import DecisionRow

RULES: Final = frozenset(
    {
        Reason.RESTRICTED,
        Reason.WASH_SALE_WINDOW,
        Reason.HOLD_RANGE,
        Reason.LOT_FROZEN,
        Reason.NOT_HELD,
        Reason.NOT_TRADABLE,
    }
)
"""Reasons that somebody's rule gives, not tax, cost or size."""


def tax_panel(page: dict[str, Any]) -> None:
    """What the trades realize and cost in tax."""
    tax = page["tax"]
    if tax is None:
        return
    with panel("Tax"):
        facts(
            {
                "estimated": dollars(tax["est_tax_usd"]),
                "realized, short term": dollars(tax["realized_short_gain_usd"]),
                "realized, long term": dollars(tax["realized_long_gain_usd"]),
                "this year so far, short": dollars(tax["ytd_short_gain_usd"]),
                "this year so far, long": dollars(tax["ytd_long_gain_usd"]),
                "rates, short and long": f"{percent(tax['short_term_rate'])}, {percent(tax['long_term_rate'])}",
            }
        )
        ui.label(tax["regime_sentence"] or "").classes("note")


def cash_panel(page: dict[str, Any]) -> None:
    """Cash before and after."""
    cash = page["cash"]
    if cash is None:
        return
    with panel("Cash"):
        names = {"settled": "settled_usd", "pending": "pending_usd", "reserve": "reserve_usd"}
        both = {"before the trades": "before_usd", "after the trades": "after_usd"}
        facts({name: dollars(cash[key]) for name, key in (names | both).items()})
        ui.label(cash["price_of_cash_sentence"] or "").classes("note")


def proof_panel(page: dict[str, Any]) -> None:
    """How far from the best possible the trades are."""
    proof = page["certificate"]
    if proof is None:
        return
    with panel("Proof"):
        ui.label(proof["sentence"])
        facts(
            {
                "objective": f"{proof['objective_usd']:,.4f} USD",
                "proven bound": f"{proof['lower_bound_usd']:,.4f} USD",
                "gap": f"{proof['gap_bps']:.4f} bps of NAV",
            }
            if proof["gap_bps"] is not None
            else {}
        )


def rules_panel(page: dict[str, Any]) -> None:
    """Wash sales and restrictions that stopped or priced a trade; other reasons stand beside the weights."""
    wash = page["wash_sales"]
    with panel("Wash sales and restrictions"):
        said = False
        for row in wash["may_not_buy"]:
            ui.label(
                f"{row['security_id']} was sold at a loss in the household: not bought until {day(row['until_date'])}."
            )
            said = True
        for row in wash["losses_replaced"]:
            ui.label(f"A loss on {row['security_id']} is replaced by a purchase and saves no tax now.")
            said = True
        for row in (row for row in page["stopped"] if row["code"] in RULES):
            ui.label(f"{word(row['asset_class'])}: {row['sentence']}")
            said = True
        if not said:
            ui.label("None is in the way.").classes("quiet")


def history_panel(proposal: dict[str, Any], decisions: Sequence[DecisionRow]) -> None:
    """Who made it, what was said of it, and its names."""
    with panel("History"):
        maker = proposal["amender"] or proposal["submitter"]
        rows = [{"at": clock(proposal["created_at"]), "who": maker, "what": "proposed", "note": ""}]
        rows += [
            {"at": clock(one.decided_at), "who": one.actor, "what": str(one.decision), "note": one.note}
            for one in decisions
        ]
        plain_table({"at": "at", "who": "who", "what": "what", "note": "note"}, rows)
        facts(
            {
                "proposal": proposal["proposal_id"],
                "content": proposal["content_hash"][:16],
                "approvals needed": str(proposal["approvals_needed"]),
                "expires": clock(proposal["expires_at"]),
                "cut-off": clock(proposal["cut_off_at"]),
                "export": proposal["export_id"] or "not exported",
            }
        )
        ui.link("Its rows of the audit chain", f"/audit?proposal={proposal['proposal_id']}")


def changes_panel(proposal: dict[str, Any], before: dict[str, Any] | None, changes: Sequence[OrderChange]) -> None:
    """What differs from the version that it replaced, or from the account's proposal of the night before."""
    if before is None:
        return
    same_run = before["run_id"] == proposal["run_id"]
    title = f"Against version {before['version']}" if same_run else f"Against the night of {before['as_of_date']}"
    with panel(title):
        ui.link(f"{word(before['state'])}: {before['proposal_id']}", f"/proposals/{before['proposal_id']}").classes(
            "quiet"
        )
        rows = [
            {"side": one.side, "symbol": one.symbol, "before": shares(one.before), "now": shares(one.now)}
            for one in changes
        ]
        if rows:
            columns = {"side": "", "symbol": "symbol", "before": "then", "now": "now"}
            plain_table(columns, rows, numbers=("before", "now"))
        else:
            ui.label("The same orders.").classes("quiet")
