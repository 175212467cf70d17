"""Panels of an account: who it is, what it holds, its nights, and what restricts it."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from nicegui import ui

from console.pages.account_trail import unfolding_table
from console.pages.parts import facts, panel, plain_table
from console.shared import (
    NONE,
    Backend,
    day,
    dollars,
    nights_chart,
    percent,
    plural,
    price,
    shares,
    word,
)
from schemas.errors import WrongUsage
from tasks.core.profiles import NOT_IN_IT, Outlook, outlook_table
from tasks.review import GoalOfAccount, goal_of_account

Page = Mapping[str, Any]
HOLDINGS: Final = {
    "symbol": "security",
    "class": "class",
    "quantity": "shares",
    "price": "price",
    "value": "value",
    "cost": "cost",
    "gain": "gain",
    "short": "short-term",
    "long": "long-term",
    "lots": "lots",
}
HOLDING_NUMBERS: Final = ("quantity", "price", "value", "cost", "gain", "short", "long")
HOLDING_CELLS: Final = """
<template v-if="col.name === 'symbol'"><a :href="props.row.link" class="row-link mono">{{ props.row.symbol }}</a>
  <div class="quiet">{{ props.row.name }}</div></template>
<template v-else-if="col.name === 'lots'"><details class="lots"><summary>{{ props.row.parts.length === 1 ? '1 lot' : props.row.parts.length + ' lots' }}</summary>
  <table><thead><tr><th>lot</th><th>shares</th><th>unit cost</th><th>value</th><th>gain</th><th>acquired</th><th>term</th></tr></thead>
  <tbody><tr v-for="lot in props.row.parts" :key="lot.lot"><td>{{ lot.lot }}</td><td>{{ lot.quantity }}</td><td>{{ lot.cost }}</td><td>{{ lot.value }}</td><td>{{ lot.gain }}</td><td>{{ lot.acquired }}</td><td>{{ lot.term }}</td></tr></tbody></table>
</details></template>
"""
NIGHT_COLUMNS: Final = {
    "night": "night",
    "outcome": "outcome",
    "nav": "value",
    "drift": "drift",
    "cash": "cash",
    "change": "change of cash",
    "traded": "of trades",
    "other": "other",
}
NIGHT_NUMBERS: Final = ("nav", "drift", "cash", "change", "traded", "other")


def head_facts(page: Page) -> None:
    """Who the account is and what it comes to."""
    account, value, cash = page["account"], page["value"], page["cash"]
    gains = [held["gain_usd"] for held in page["holdings"]]
    known = [gain for gain in gains if gain is not None]
    household = page["household"]
    with ui.element("div").classes("tiles small"):
        for figure, text in (
            (dollars(value["nav_usd"]), "value"),
            (percent(value["one_way_drift"]), f"one-way drift, largest class {percent(value['max_abs_drift'])}"),
            (dollars(cash["settled_usd"]), _cash_words(cash)),
            (dollars(sum(known)) if known else NONE, "gains not realized" + _unknown(len(gains) - len(known))),
            (
                f"{dollars(account['ytd_short_gain_usd'])}, {dollars(account['ytd_long_gain_usd'])}",
                "realized this year, short and long",
            ),
        ):
            with ui.element("div").classes("tile"):
                ui.label(figure).classes("figure")
                ui.label(text).classes("quiet")
    facts(
        {
            "custodian": account["custodian"] or NONE,
            "tax status": _tax(account),
            "model, policy": f"{account['model_id'] or NONE}, {account['policy_id'] or NONE}",
            "household": "none: it is managed alone" if household is None else _household_words(household),
        },
        {} if household is None else {"household": f"/households/{household['household_id']}"},
    )
    for one in (*page["tilts"], *page["indexes"]):
        ui.label(one["sentence"]).classes("note")


def goal_behind(backend: Backend, account_id: str, run_id: str) -> GoalOfAccount | None:
    """The goal of the account's investor; null: nothing is known of one."""
    try:
        found = goal_of_account(backend.lake, backend.ledger.runs, account_id, run_id=run_id)
    except WrongUsage:
        return None
    return found if found.outlook is not None or found.findings else None


def goal_panel(goal: GoalOfAccount | None) -> None:
    """How likely the goal is, and on which rung to stand for it today; or what a person has to look at first."""
    if goal is None:
        return
    with panel("Goal", wide=True):
        told = goal.outlook
        if told is not None:
            with ui.element("div").classes("tiles small"):
                for figure, text in _chances(told):
                    with ui.element("div").classes("tile"):
                        ui.label(figure).classes("figure")
                        ui.label(text).classes("quiet")
            ui.label(
                f"{dollars(told.goal_usd)} in {told.years:.1f} years, from {dollars(told.wealth_usd)} in "
                f"{plural(goal.account_count, 'account')} of household {goal.household_id} and {dollars(told.yearly_flow_usd)} a year."
            )
            with ui.expansion("Chance and best rung by wealth and years left").classes("quiet"):
                columns, rows = outlook_table(told)
                named = dict(zip(columns, columns, strict=True))
                plain_table(named, [dict(zip(columns, row, strict=True)) for row in rows])
            ui.label(NOT_IN_IT).classes("quiet")
        if goal.reason is not None:
            ui.label(goal.reason).classes("note")
        for one in goal.findings:
            ui.label(f"A person has to look at the profile first: {word(one)}.").classes("note")


def _chances(told: Outlook) -> Iterator[tuple[str, str]]:
    yield percent(told.chance_within_profile), f"chance on the best rungs of the profile, today rung {told.best_rung}"
    if told.chance_as_today is not None:
        yield percent(told.chance_as_today), "chance on the rung of today, for good"
    yield percent(told.chance_on_all_rungs), "chance on the best of all rungs"


def _cash_words(cash: Page) -> str:
    pending = cash["pending_usd"]
    parts = ["settled cash"]
    if pending:
        parts.append(f"{dollars(abs(pending))} {'to come' if pending > 0 else 'to be withdrawn'}")
    if cash["reserve_usd"]:
        parts.append(f"{dollars(cash['reserve_usd'])} in reserve")
    return ", ".join(parts)


def _unknown(number: int) -> str:
    return f"; of {plural(number, 'holding')} not known" if number else ""


def _tax(account: Page) -> str:
    if account["tax_status"] is None:
        return NONE
    if account["tax_status"] != "taxable":
        return word(account["tax_status"])
    carried = [account[f"loss_carryforward_{term}_usd"] for term in ("short", "long")]
    losses = (
        f"; losses carried forward {dollars(carried[0] or 0)} short, {dollars(carried[1] or 0)} long"
        if any(carried)
        else ""
    )
    return f"taxable, short {percent(account['short_term_rate'])}, long {percent(account['long_term_rate'])}{losses}"


def _household_words(household: Page) -> str:
    how = "managed together" if household["is_managed"] else "each managed alone"
    return f"{household['household_id']}: {plural(household['account_count'], 'account')}, {how}"


def nights_panel(page: Page) -> None:
    """Drift over nights, what became of each, and what cash did."""
    nights = page["nights"]
    with panel("Nights", wide=True):
        if len(nights) > 1:
            chart = ui.echart(nights_chart(list(reversed(nights)))).style("height: 260px")
            chart.props('role="img" aria-label="Drift of the account over nights"')
        rows = [_night(row, page["account"]["account_id"]) for row in nights]
        unfolding_table(rows, NIGHT_COLUMNS, NIGHT_NUMBERS, "Nights", "older night")
        ui.label(
            "Cash is what was settled; other: what trades of those days do not explain, as contributions, dividends, fees, "
            "or cash that settles on another day."
        ).classes("quiet")


def _night(row: Page, account_id: str) -> dict[str, Any]:
    return {
        "night": day(row["as_of_date"]),
        "link": f"/accounts/{account_id}?run={row['run_id']}",
        "outcome": word(row["outcome"]),
        "word": row["outcome"],
        "nav": dollars(row["nav_usd"]),
        "drift": percent(row["one_way_drift"]),
        "cash": dollars(row["settled_usd"]),
        "change": dollars(row["change_usd"]),
        "traded": dollars(row["traded_usd"]),
        "other": dollars(row["other_usd"]),
    }


def holdings_panel(page: Page) -> None:
    """What it holds, with the gains by term, and the lots below each."""
    with panel("Holdings", wide=True):
        if not page["holdings"]:
            ui.label("No lots that were accepted.").classes("quiet")
            return
        rows = [_holding(held) for held in page["holdings"]]
        plain_table(HOLDINGS, rows, numbers=HOLDING_NUMBERS, cells=HOLDING_CELLS).props('aria-label="Holdings"')


def _holding(held: Page) -> dict[str, Any]:
    return {
        "symbol": held["symbol"] or held["security_id"],
        "link": f"/securities/{held['security_id']}",
        "name": held["name"] or "",
        "class": word(held["asset_class"] or NONE),
        "quantity": shares(held["quantity"]),
        "price": price(held["price_usd"]),
        "value": dollars(held["value_usd"]),
        "cost": "unknown" if held["cost_usd"] is None else dollars(held["cost_usd"]),
        "gain": dollars(held["gain_usd"]),
        "short": dollars(held["short_gain_usd"]),
        "long": dollars(held["long_gain_usd"]),
        "lots": "",
        "parts": [_lot(lot) for lot in held["lots"]],
    }


def _lot(lot: Page) -> dict[str, str]:
    return {
        "lot": str(lot["lot_id"]),
        "quantity": shares(lot["quantity"]),
        "cost": "unknown" if lot["unit_cost_usd"] is None else price(lot["unit_cost_usd"]),
        "value": dollars(lot["value_usd"]),
        "gain": dollars(lot["gain_usd"]),
        "acquired": day(lot["acquired_date"]),
        "term": _term(lot) + (", frozen" if lot["is_frozen"] else ""),
    }


def _term(lot: Page) -> str:
    from_date: date | None = lot["long_term_from"]
    return f"short, long from {from_date}" if lot["term"] == "short" else str(lot["term"] or "unknown")


def restrictions_panel(page: Page) -> None:
    """What may not be traded: its own, and everyone's about what it holds."""
    if not page["restrictions"]:
        return
    with panel("Restrictions"):
        rows = [
            {
                "rule": word(row["rule"]),
                "security": row["security_id"],
                "range": _range(row),
                "until": day(row["until_date"]) if row["until_date"] else "for good",
                "whose": "every account" if row["is_everyones"] else "this account",
            }
            for row in page["restrictions"]
        ]
        columns = {"rule": "rule", "security": "security", "range": "keeps", "until": "until", "whose": "of"}
        if not any(row["range"] for row in rows):
            del columns["range"]
        plain_table(columns, rows).props('aria-label="Restrictions"')


def _range(row: Page) -> str:
    found = []
    for least, most, show in (("min_quantity", "max_quantity", shares), ("min_value_usd", "max_value_usd", dollars)):
        low, high = row[least], row[most]
        if low is not None or high is not None:
            found.append(f"{NONE if low is None else show(low)} to {'any' if high is None else show(high)}")
    return ", ".join(found)
