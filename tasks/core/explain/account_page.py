"""What a night made of one account, as one object: plain values under stable names, sentences beside the numbers.

Dollars, shares, weights and basis points are numbers. A section that does not apply is null (``proposal`` of an account that
was not proposed) or an empty list. The command prints the object as it is or as a page.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import polars as pl

from schemas.enums import Reason, Side, TaxStatus
from schemas.landing_columns import CASH
from tasks.core.explain.baskets import index_rows
from tasks.core.explain.branches import branches
from tasks.core.explain.class_terms import loss_rooms
from tasks.core.explain.gap_section import certificate_section
from tasks.core.explain.limits import limits_of
from tasks.core.explain.plain_values import Page, every_row, first_row, some_of
from tasks.core.explain.sentences import (
    CHANGED_ORDER,
    REASONS,
    ROUNDED_ORDER,
    RULE_ORDER,
    frontier_sentence,
    outcome_sentences,
    price_of_cash_sentence,
    tilt_sentence,
)
from tasks.core.explain.tax_section import tax_section
from tasks.core.explain.weights_after import classes_after
from tasks.core.facts import BPS, Facts, account_parameters, untilted_model, with_own_classes
from tasks.core.gate import anomaly_sentence
from tasks.core.propose import AMENDED, Scenario, Solved
from tasks.core.rules import loss_sales
from tasks.core.tax import gains_before, is_taxed, replaced_quantities, unused_purchases

ACCOUNT: Final = ("account_id", "household_id", "custodian", "tax_status", "status", "model_id", "policy_id")
LEAST_WORTH_BPS: Final = 1e-6
LOT: Final = ("lot_id", "quantity", "unit_cost_usd", "acquired_date", "term", "gain_usd")


@dataclass(frozen=True)
class AccountRecord:
    """What the lake and the ledger hold of one account in one run: rows of the public tables, and the household's facts."""

    run: Mapping[str, Any]
    outcome: Mapping[str, Any]
    tables: Mapping[str, pl.DataFrame]
    """Rows of the account alone, by public table."""
    household: pl.DataFrame
    """Rows of ``household_drift``; none where the account is managed alone."""
    facts: Facts
    """Of its household; without the account itself where that is quarantined."""
    queue: Mapping[str, Any] | None
    """The proposal in the ledger."""
    decisions: tuple[Mapping[str, Any], ...] = ()
    causes: tuple[Mapping[str, Any], ...] = ()
    """``text, found, quarantine_id`` of rows that are not its own and that it was quarantined because of."""
    solved: Solved | None = None
    """The account solved again as its night did, with its household where that is managed together."""
    standing: Solved | None = None
    """The same, set to the trades of its newest version."""
    unsolved: str | None = None
    """Why it is not, in words; null where there was nothing to solve."""


def household_facts(facts: Facts, account_id: str) -> Facts:
    """The facts of an account's household: all that its trades depend on."""
    key = facts.members.filter(pl.col("account_id") == account_id).select("household_key")
    members = facts.members.join(key, on="household_key", how="semi")

    def own(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.join(members, on="account_id", how="semi")

    everyones = facts.restrictions.filter(pl.col("account_id").is_null())
    return replace(
        facts,
        accounts=own(facts.accounts),
        lots=own(facts.lots),
        cash=own(facts.cash),
        restrictions=pl.concat([own(facts.restrictions), everyones]),
        trades=own(facts.trades),
        last_exports=own(facts.last_exports),
        pending_orders=own(facts.pending_orders),
        members=members,
    )


def page(record: AccountRecord) -> Page:
    """All that can be said of the account, section by section."""
    parameters = account_parameters(record.facts).filter(pl.col("account_id") == record.outcome["account_id"])
    proposal = first_row(record.tables["proposals"])
    account = first_row(gains_before(parameters.with_columns(untilted_model())))
    return {
        "account": {"account_id": record.outcome["account_id"], **some_of(account, ACCOUNT[1:])},
        "run": dict(record.run),
        "outcome": {
            "outcome": record.outcome["outcome"],
            "reason": record.outcome["reason"],
            "sentences": outcome_sentences(record.outcome["outcome"], record.outcome["reason"]),
        },
        "causes": list(record.causes),
        "quarantine": every_row(record.tables["quarantine"].sort("table_name", "row_number")),
        "anomaly": _anomaly(record.tables["anomalies"]),
        "drift": _drift(first_row(record.tables["account_drift"]), proposal),
        "classes": (classes := every_row(_classes(record))),
        "tilts": tilt_rows(record.tables["tilted_targets"]),
        "indexes": index_rows(record.tables["index_baskets"], classes, record.facts),
        "household_classes": every_row(record.household.sort(pl.col("asset_class") == CASH, "asset_class")),
        "orders": _orders(record, account, proposal),
        "stopped": _reasons(record.tables["class_reasons"]),
        "tax": tax_section(account, proposal, record.standing),
        "cash": _cash(record, account, proposal),
        **_solution(record.standing, account, proposal),
        "not_solved_again": record.unsolved,
        "wash_sales": {
            "may_not_buy": every_row(may_not_buy(record.facts, parameters)),
            "losses_replaced": every_row(losses_replaced(record, parameters)),
        },
        "certificate": certificate_section(proposal, record.solved),
        "proposal": _proposal(record, proposal),
    }


def _solution(standing: Solved | None, account: Page | None, proposal: Page | None) -> Page:
    """What follows from the account solved again."""
    if account is None or standing is None:
        return {"limits": [], "losses": [], "ways": []}
    name = account["account_id"]
    return {
        "limits": limits_of(account, standing, proposal),
        "losses": loss_rooms(standing, name),
        "ways": branches(standing, name),
    }


def _anomaly(frame: pl.DataFrame) -> Page | None:
    """Null on an account's first night."""
    row = first_row(frame.select("residual_bps", "score", "nights"))
    return None if row is None else {**row, "sentence": anomaly_sentence(**row)}


def _drift(measured: Page | None, proposal: Page | None) -> Page | None:
    if measured is None:
        return None
    after = None if proposal is None else proposal["one_way_drift_after"]
    triggers = [word for word in measured["triggers"].split("|") if word]
    return {
        "nav_usd": measured["nav_usd"],
        "triggers": triggers,
        "max_abs_drift": measured["max_abs_drift"],
        "one_way_drift_before": measured["one_way_drift"],
        "one_way_drift_after": after,
    }


def _classes(record: AccountRecord) -> pl.DataFrame:
    """Rows of ``drift`` before and after the trades."""
    proposals = record.tables["proposals"]
    cost = proposals["est_cost_usd"].item() if proposals.height else Decimal(0)
    return classes_after(
        record.tables["drift"].drop("account_id"), record.tables["orders"], _classes_traded(record), cost
    )


def _classes_traded(record: AccountRecord) -> pl.DataFrame:
    """``security_id, asset_class`` of what is ordered; of a member of an index the member's class."""
    traded = record.tables["orders"].select("account_id", "security_id").unique()
    described = traded.join(record.facts.securities.select("security_id", "asset_class"), on="security_id")
    return with_own_classes(described, record.facts.index_members).select("security_id", "asset_class")


def tilt_rows(tilted_targets: pl.DataFrame) -> list[Page]:
    """The classes that an account is tilted in, of its rows of ``tilted_targets``, each with a sentence."""
    asked = tilted_targets.filter(pl.col("delta_weight").is_not_null()).drop("account_id").sort("asset_class")
    return [{**row, "sentence": tilt_sentence(row)} for row in every_row(asked)]


def _orders(record: AccountRecord, account: Page | None, proposal: Page | None) -> list[Page]:
    """Orders as they would leave, each with the lots it closes; a lot's tax is at the account's own rates, before any netting."""
    relief = record.tables["lot_relief"].sort("order_id", "acquired_date", "lot_id", nulls_last=True)
    orders = record.tables["orders"].sort(pl.col("side") == Side.BUY, "symbol", "security_id")
    by_rule, classes = _sold_by_rule(record.standing), dict(_classes_traded(record).rows())
    closed: dict[str, list[Page]] = {}
    for lot in every_row(relief):
        closed.setdefault(lot["order_id"], []).append(
            {**some_of(lot, LOT), "tax_at_own_rate_usd": _lot_tax(lot, account)}
        )
    return [
        {
            **{name: value for name, value in order.items() if name != "account_id"},
            **_worth(order, proposal, by_rule),
            "asset_class": classes.get(order["security_id"]),
            "lots": closed.get(order["order_id"], []),
        }
        for order in every_row(orders)
    ]


def _worth(order: Page, proposal: Page | None, by_rule: frozenset[str]) -> Page:
    """What an order is worth beyond its cost, usd, and why where that is less than nothing; ``by_rule``: what is sold outright."""
    bps = order["marginal_benefit_bps"] - order["marginal_cost_bps"]
    note = None
    if bps < -LEAST_WORTH_BPS:
        is_changed = proposal is not None and AMENDED in proposal["route_reasons"].split("|")
        is_by_rule = order["side"] == Side.SELL and order["security_id"] in by_rule
        note = RULE_ORDER if is_by_rule else CHANGED_ORDER if is_changed else ROUNDED_ORDER
    return {"worth_usd": bps / BPS * order["value_usd"], "note": note}


def _sold_by_rule(standing: Solved | None) -> frozenset[str]:
    """Securities of which something is sold outright."""
    if standing is None:
        return frozenset()
    return frozenset(standing.lots.filter((pl.col("outright") > 0) & (pl.col("sold") > 0))["security_id"])


def _lot_tax(lot: Page, account: Page | None) -> float | None:
    """Gain times the rate of its term; null where the gain is unknown."""
    if account is None or lot["gain_usd"] is None or lot["term"] is None:
        return None
    rate = account[f"{lot['term']}_term_rate"] if account["tax_status"] == TaxStatus.TAXABLE else 0.0
    return float(rate * lot["gain_usd"])


def _reasons(reasons: pl.DataFrame) -> list[Page]:
    found = every_row(reasons.drop("account_id").sort("asset_class", "code"))
    return [{**row, "sentence": REASONS[Reason(row["code"])]} for row in found]


def _cash(record: AccountRecord, account: Page | None, proposal: Page | None) -> Page | None:
    """Cash as delivered and beyond the reserve, before and after; null without the account's facts."""
    delivered = first_row(record.facts.cash.filter(pl.col("account_id") == record.outcome["account_id"]))
    if account is None or delivered is None:
        return None
    bps = None if proposal is None else proposal["shadow_price"] * BPS
    return {
        **some_of(delivered, ("settled_usd", "pending_usd")),
        "reserve_usd": account["cash_reserve_usd"],
        "before_usd": account["cash_usd"],
        "after_usd": account["cash_usd"] if proposal is None else proposal["cash_after_usd"],
        "price_of_cash_bps": bps,
        "price_of_cash_sentence": None if bps is None else price_of_cash_sentence(bps),
    }


def _proposal(record: AccountRecord, proposal: Page | None) -> Page | None:
    """The proposal's numbers, its state in the ledger and who decided; state is null until it is routed."""
    if proposal is None:
        return None
    names = ("proposal_id", "route", "route_reasons", "order_count", "gross_value_usd", "turnover", "est_cost_usd")
    kept = ("state", "submitter", "approvals_needed", "created_at", "state_changed_at", "expires_at", "export_id")
    decided = [{name: one[name] for name in ("actor", "decision", "note", "decided_at")} for one in record.decisions]
    return {
        **some_of(proposal, names),
        **some_of(dict(record.queue) if record.queue else None, kept),
        "decisions": decided,
    }


def may_not_buy(facts: Facts, parameters: pl.DataFrame) -> pl.DataFrame:
    """``security_id, until_date``: what the account may not buy, and the last day of it, because its household sold it at a loss."""
    households = parameters.select("account_id", "wash_sale_days").join(facts.members, on="account_id")
    forbidden = loss_sales(facts, households, facts.trade_date)
    columns = ("security_id", "trade_date")
    sold = facts.trades.filter((pl.col("side") == Side.SELL) & (pl.col("realized_gain_usd") < 0)).select(columns)
    selling = facts.pending_orders.filter((pl.col("side") == Side.SELL) & pl.col("is_loss")).select(columns)
    last = pl.concat([sold, selling]).group_by("security_id").agg(pl.col("trade_date").max())
    until = pl.col("trade_date") + pl.duration(days="wash_sale_days")
    windows = forbidden.join(last, on="security_id").join(households, on="account_id")
    return windows.select("security_id", until_date=until).sort("security_id")


def losses_replaced(record: AccountRecord, parameters: pl.DataFrame) -> pl.DataFrame:
    """``security_id, replaced_quantity, sold_at_loss_quantity``: losses among the trades that purchases of the household disallow, in part or whole."""
    households = parameters.select("account_id", "tax_status", "wash_sale_days").join(
        record.facts.members, on="account_id"
    )
    taxed = households.filter(is_taxed()).drop("tax_status")
    losses = record.tables["lot_relief"].filter(pl.col("gain_usd") < 0)
    sold = losses.group_by("security_id").agg(sold_at_loss_quantity=pl.col("quantity").sum())
    replaced = replaced_quantities(unused_purchases(record.facts, taxed, record.facts.trade_date))
    return replaced.join(sold, on="security_id").drop("account_id").sort("security_id")


def frontier_section(found: pl.DataFrame) -> Page | None:
    """Rows of ``frontier`` and where policy stands among them; null where the account may not be traded at all."""
    if found.is_empty():
        return None
    places = {str(scenario): place for place, scenario in enumerate(Scenario)}
    scenarios = every_row(found.drop("account_id").sort(pl.col("scenario").replace_strict(places), "tracking_penalty"))
    paid = {row["scenario"]: {**row, "paid_usd": row["est_tax_usd"] + row["est_cost_usd"]} for row in scenarios}
    sentence = frontier_sentence(paid[Scenario.POLICY], paid[Scenario.FULL])
    return {"sentence": sentence, "scenarios": scenarios}
