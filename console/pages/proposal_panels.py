"""Panels of a proposal: tax, cash, the proof, rules, the history, and what differs from the one before."""

from collections.abc import Sequence
from typing import Any, Final

from nicegui import ui

from console.pages.parts import facts, panel, plain_table
from console.shared import NONE, clock, day, dollars, gap_svg, percent, shares, word
from schemas.enums import Reason, TaxStatus
from tasks.core.explain import LOSS_RULE, OF_THE_HOUSEHOLD, folded, folded_words
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
        Reason.TRACKING_BUDGET,
    }
)
"""Reasons that somebody's rule gives, not tax, cost or size."""

TERM_COLUMNS: Final = ("term", "before", "tonight", "disallowed", "after", "next")


def solution_panels(page: dict[str, Any]) -> None:
    """What follows from the account's solution: tax, limits, losses, ways, and how far from the best it can be."""
    for draw in (tax_panel, limits_panel, losses_panel, ways_panel, proof_panel):
        draw(page)


def tax_panel(page: dict[str, Any]) -> None:
    """How the year's tax comes about: before the sales, what they add, what does not count, and after."""
    tax = page["tax"]
    if tax is None:
        return
    with panel("Tax"):
        if tax["tax_status"] != TaxStatus.TAXABLE:
            ui.label(f"The account is {word(tax['tax_status'])}: it pays no tax on a sale.")
            return
        rows = [
            {
                "term": f"{one['term']}, {percent(one['rate'])}",
                **{name: dollars(one[f"{name}_usd"]) for name in TERM_COLUMNS[1:-1]},
                "next": percent(one["marginal_rate"]),
            }
            for one in tax["terms"]
        ]
        names = {**{name: name for name in TERM_COLUMNS}, "next": "next dollar at"}
        plain_table(names, rows, numbers=TERM_COLUMNS[1:])
        facts(
            {
                "tax before": dollars(tax["tax_before_usd"]),
                "tax after": dollars(tax["tax_after_usd"]),
                "estimated": dollars(tax["est_tax_usd"]),
            }
        )
        for text in (tax["netting_after_sentence"], tax["side_sentence"], tax["regime_sentence"]):
            ui.label(text or "").classes("note")


def limits_panel(page: dict[str, Any]) -> None:
    """What limits the trades, and what one more dollar of it would be worth."""
    if page["not_solved_again"]:
        with panel("Limits"):
            ui.label(page["not_solved_again"])
    if not page["limits"]:
        return
    with panel("Limits"):
        rows = [
            {
                "limit": word(one["limit"]),
                "most": "none" if one["most"] is None else _amount(one, "most"),
                "used": _amount(one, "used"),
                "price": NONE if one["price_bps"] is None else f"{one['price_bps']:,.1f} bps",
                "binds": "binds" if one["is_binding"] else "",
            }
            for one in page["limits"]
        ]
        columns = {"limit": "limit", "most": "most", "used": "used", "price": "one more dollar", "binds": ""}
        plain_table(columns, rows, numbers=("most", "used", "price"))
        for one in page["limits"]:
            if one["most"] is not None and one["limit"] != "cash":
                ui.label(one["sentence"]).classes("note")


def _amount(limit: dict[str, Any], key: str) -> str:
    return f"{limit[key]:,}" if limit["limit"] == "orders" else dollars(limit[key])


def losses_panel(page: dict[str, Any]) -> None:
    """How much of each class may be sold at a loss, and how much is."""
    if not page["losses"]:
        return
    with panel("Losses"):
        ui.label(f"{LOSS_RULE} {OF_THE_HOUSEHOLD}" if page["household_classes"] else LOSS_RULE)
        rows = [
            {
                "class": word(one["asset_class"]),
                **{name: dollars(one[f"{name}_usd"]) for name in ("held", "room", "sold", "harvested")},
                "binds": "binds" if one["is_binding"] else "",
            }
            for one in folded(page["losses"])
        ]
        names = {"held": "at a loss", "room": "may be sold", "sold": "is sold", "harvested": "outright"}
        plain_table({"class": "class", **names, "binds": ""}, rows, numbers=tuple(names))
        binding = [one for one in page["losses"] if one["is_binding"]]
        for one in folded_words(binding, ()):
            ui.label(f"{word(one['asset_class'])}: {one['sentence']}").classes("note")


def ways_panel(page: dict[str, Any]) -> None:
    """Which way each class trades where that is not obvious."""
    odd = [one for one in page["ways"] if not one["is_obvious"]]
    if not odd:
        return
    with panel("Which way, and why"):
        for one in folded_words(odd, ("way",)):
            ui.label(f"{word(one['asset_class'])}: {one['sentence']}").classes("note")


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
        picture = gap_svg(proof)
        if picture:
            ui.html(picture, sanitize=False)
            ui.label(
                "B the proven bound, C the best in fractions of units, T these trades, N trading nothing."
            ).classes("quiet")
            ui.label(proof["parts_sentence"])
            ui.label(proof["idle_sentence"])
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
        for row in folded_words([row for row in page["stopped"] if row["code"] in RULES], ("code",)):
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
