"""What a night made of one account, as one object: plain values under stable names, sentences beside the numbers.

Dollars, shares, weights and basis points are numbers. A section that does not apply is null (``proposal`` of an account that
was not proposed) or an empty list. The command prints the object as it is or as a page.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import polars as pl

from schemas.enums import Reason, Side, TaxRegime, TaxStatus, Term
from schemas.landing import CASH
from schemas.tables import USD
from tasks.core.drift import is_out_of_band
from tasks.core.explain.sentences import (
    NO_CERTIFICATE,
    REASONS,
    REGIMES,
    certificate_sentence,
    frontier_sentence,
    outcome_sentences,
    price_of_cash_sentence,
)
from tasks.core.facts import BPS, Facts, account_parameters
from tasks.core.gate import anomaly_sentence
from tasks.core.propose import Scenario
from tasks.core.rules import loss_sales
from tasks.core.tax import gains_before, is_taxed, netted_tax, replaced_quantities, unused_purchases

Page = dict[str, Any]

ACCOUNT: Final = ("account_id", "household_id", "custodian", "tax_status", "status", "model_id", "policy_id")
CERTIFICATE: Final = ("objective_usd", "lower_bound_usd", "gap_bps")
GAINS: Final = tuple(
    f"{kind}_{term}_{unit}" for kind, unit in (("ytd", "gain_usd"), ("loss_carryforward", "usd")) for term in Term
)
TAXED: Final = ("short_before_usd", "long_before_usd", "short_term_rate", "long_term_rate")
"""What ``netted_tax`` takes, in its order."""
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
    proposal = _first(record.tables["proposals"])
    account = _first(gains_before(parameters))
    return {
        "account": {"account_id": record.outcome["account_id"], **_only(account, ACCOUNT[1:])},
        "run": dict(record.run),
        "outcome": {
            "outcome": record.outcome["outcome"],
            "reason": record.outcome["reason"],
            "sentences": outcome_sentences(record.outcome["outcome"], record.outcome["reason"]),
        },
        "causes": list(record.causes),
        "quarantine": _rows(record.tables["quarantine"].sort("table_name", "row_number")),
        "anomaly": _anomaly(record.tables["anomalies"]),
        "drift": _drift(_first(record.tables["account_drift"]), proposal),
        "classes": _rows(_classes(record, proposal)),
        "household_classes": _rows(record.household.sort(pl.col("asset_class") == CASH, "asset_class")),
        "orders": _orders(record, account),
        "stopped": _reasons(record.tables["class_reasons"]),
        "tax": _tax(account, proposal),
        "cash": _cash(record, account, proposal),
        "wash_sales": {
            "may_not_buy": _rows(may_not_buy(record.facts, parameters)),
            "losses_replaced": _rows(losses_replaced(record, parameters)),
        },
        "certificate": _certificate(proposal),
        "proposal": _proposal(record, proposal),
    }


def _anomaly(frame: pl.DataFrame) -> Page | None:
    """Null on an account's first night."""
    row = _first(frame.select("residual_bps", "score", "nights"))
    return None if row is None else {**row, "sentence": anomaly_sentence(**row)}


def _first(frame: pl.DataFrame) -> Page | None:
    """The only row, as plain values; null where there is none."""
    return _plain(frame.row(0, named=True)) if frame.height else None


def _rows(frame: pl.DataFrame) -> list[Page]:
    return [_plain(row) for row in frame.iter_rows(named=True)]


def _plain(row: Mapping[str, Any]) -> Page:
    """Decimals as floats: what leaves here is read, not added up."""
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in row.items()}


def _only(row: Page | None, names: tuple[str, ...]) -> Page:
    return {name: None if row is None else row[name] for name in names}


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


def _classes(record: AccountRecord, proposal: Page | None) -> pl.DataFrame:
    """Rows of ``drift`` with value, weight and drift after the trades, over NAV less their costs; as before where there are none."""
    orders = record.tables["orders"].join(
        record.facts.securities.select("security_id", "asset_class"), on="security_id"
    )
    signed = pl.when(pl.col("side") == Side.BUY).then("value_usd").otherwise(-pl.col("value_usd"))
    traded = orders.group_by("asset_class").agg(traded_usd=signed.sum())
    cost = Decimal(0) if proposal is None else record.tables["proposals"]["est_cost_usd"].item()
    moved = pl.lit(-cost, USD) - traded["traded_usd"].sum()
    nav = (pl.col("value_usd").sum() - pl.lit(cost, USD)).cast(pl.Float64)
    after = pl.col("value_after_usd").cast(pl.Float64) / nav
    return (
        record.tables["drift"]
        .drop("account_id")
        .join(traded, on="asset_class", how="left")
        .with_columns(
            value_after_usd=pl.col("value_usd")
            + pl.when(pl.col("asset_class") == CASH).then(moved).otherwise(pl.col("traded_usd").fill_null(0))
        )
        .with_columns(weight_after=pl.when(nav > 0).then(after))
        .with_columns(drift_after=pl.col("weight_after") - pl.col("target_weight"))
        .with_columns(is_out_of_band_after=is_out_of_band(pl.col("drift_after"), pl.col("band")))
        .drop("traded_usd")
        .sort(pl.col("asset_class") == CASH, "asset_class")
    )


def _orders(record: AccountRecord, account: Page | None) -> list[Page]:
    """Orders as they would leave, each with the lots it closes; a lot's tax is at the account's own rates, before any netting."""
    relief = record.tables["lot_relief"].sort("order_id", "acquired_date", "lot_id", nulls_last=True)
    orders = record.tables["orders"].sort(pl.col("side") == Side.BUY, "symbol", "security_id")
    closed: dict[str, list[Page]] = {}
    for lot in _rows(relief):
        closed.setdefault(lot["order_id"], []).append(
            {**_only(lot, LOT), "tax_at_own_rate_usd": _lot_tax(lot, account)}
        )
    return [
        {
            **{name: value for name, value in order.items() if name != "account_id"},
            "lots": closed.get(order["order_id"], []),
        }
        for order in _rows(orders)
    ]


def _lot_tax(lot: Page, account: Page | None) -> float | None:
    """Gain times the rate of its term; null where the gain is unknown."""
    if account is None or lot["gain_usd"] is None or lot["term"] is None:
        return None
    rate = account[f"{lot['term']}_term_rate"] if account["tax_status"] == TaxStatus.TAXABLE else 0.0
    return float(rate * lot["gain_usd"])


def _reasons(reasons: pl.DataFrame) -> list[Page]:
    rows = _rows(reasons.drop("account_id").sort("asset_class", "code"))
    return [{**row, "sentence": REASONS[Reason(row["code"])]} for row in rows]


def _tax(account: Page | None, proposal: Page | None) -> Page | None:
    """The year's gains, what these trades add to them, and the tax on both; null without the account's facts."""
    if account is None:
        return None
    frame = pl.DataFrame([_only(account, ("tax_status", *TAXED))], infer_schema_length=None)
    owed = pl.when(is_taxed()).then(netted_tax(*(pl.col(name) for name in TAXED))).otherwise(0.0)
    before = float(frame.select(owed).item())
    regime = None if proposal is None else proposal["tax_regime"]
    return {
        **_only(account, ("tax_status", "short_term_rate", "long_term_rate", *GAINS)),
        **_only(proposal, ("realized_short_gain_usd", "realized_long_gain_usd", "est_tax_usd")),
        "tax_before_usd": before,
        "tax_after_usd": before + (proposal["est_tax_usd"] if proposal else 0.0),
        "regime": regime,
        "regime_sentence": None if regime is None else REGIMES[TaxRegime(regime)],
        **_only(proposal, ("marginal_short_rate", "marginal_long_rate")),
    }


def _cash(record: AccountRecord, account: Page | None, proposal: Page | None) -> Page | None:
    """Cash as delivered and beyond the reserve, before and after; null without the account's facts."""
    delivered = _first(record.facts.cash.filter(pl.col("account_id") == record.outcome["account_id"]))
    if account is None or delivered is None:
        return None
    bps = None if proposal is None else proposal["shadow_price"] * BPS
    return {
        **_only(delivered, ("settled_usd", "pending_usd")),
        "reserve_usd": account["cash_reserve_usd"],
        "before_usd": account["cash_usd"],
        "after_usd": account["cash_usd"] if proposal is None else proposal["cash_after_usd"],
        "price_of_cash_bps": bps,
        "price_of_cash_sentence": None if bps is None else price_of_cash_sentence(bps),
    }


def _certificate(proposal: Page | None) -> Page | None:
    if proposal is None:
        return None
    if proposal["objective_usd"] is None or proposal["lower_bound_usd"] is None:
        return {**_only(proposal, CERTIFICATE), "gap_usd": None, "sentence": NO_CERTIFICATE}
    gap_usd = proposal["objective_usd"] - proposal["lower_bound_usd"]
    return {
        **_only(proposal, CERTIFICATE),
        "gap_usd": gap_usd,
        "sentence": certificate_sentence(proposal["gap_bps"], gap_usd),
    }


def _proposal(record: AccountRecord, proposal: Page | None) -> Page | None:
    """The proposal's numbers, its state in the ledger and who decided; state is null until it is routed."""
    if proposal is None:
        return None
    names = ("proposal_id", "route", "route_reasons", "order_count", "gross_value_usd", "turnover", "est_cost_usd")
    kept = ("state", "submitter", "approvals_needed", "created_at", "state_changed_at", "expires_at", "export_id")
    decided = [{name: one[name] for name in ("actor", "decision", "note", "decided_at")} for one in record.decisions]
    return {**_only(proposal, names), **_only(dict(record.queue) if record.queue else None, kept), "decisions": decided}


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


def frontier_section(rows: pl.DataFrame) -> Page | None:
    """Rows of ``frontier`` and where policy stands among them; null where the account may not be traded at all."""
    if rows.is_empty():
        return None
    places = {str(scenario): place for place, scenario in enumerate(Scenario)}
    scenarios = _rows(rows.drop("account_id").sort(pl.col("scenario").replace_strict(places), "tracking_penalty"))
    paid = {row["scenario"]: {**row, "paid_usd": row["est_tax_usd"] + row["est_cost_usd"]} for row in scenarios}
    sentence = frontier_sentence(paid[Scenario.POLICY], paid[Scenario.FULL])
    return {"sentence": sentence, "scenarios": scenarios}
