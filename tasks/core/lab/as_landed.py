"""Accounts of the lab as landing tables: what an account holds on a date becomes lots of securities of its own, priced there; its policy, model and gains become rows like any other's."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from schemas.landing_columns import CASH, dtypes
from schemas.stored import INTERNAL
from tasks.core.facts import BPS, Facts, household_key, with_policy_defaults
from tasks.core.lab.account import holders_of
from tasks.core.lab.arrays import Holders, LabPolicy, Market, Terms
from tasks.core.lab.standing import LONG_AGO, Course, Standing, price_of
from tasks.core.solver import MILLIONTHS, Floats, Ints

EPOCH: Final = date(1970, 1, 1).toordinal()


def as_facts(
    course: Course,
    state: Standing,
    which: Ints,
    *,
    market: Market,
    terms: Terms | Holders,
    policies: Sequence[LabPolicy],
) -> Facts:
    """The accounts ``which``, which all stand on one date, as facts of that night."""
    at = int(state.at[which[0]])
    today, holders = market.dates[at], holders_of(market, terms)
    paths = market.growth.shape[0] * len(holders.names)
    accounts, lots, cash, securities, prices, targets, choices, rules, trades, closed, locations = (
        [] for _ in range(11)
    )
    for a in which:
        policy, path, name = policies[a // paths], a % paths, account_name(a)
        k = path % len(holders.names)
        own = {"account_id": name, "model_id": name, "policy_id": name}
        gains = {"ytd_short_gain_usd": state.year_gain[a, 0], "ytd_long_gain_usd": state.year_gain[a, 1]}
        losses = {
            "loss_carryforward_short_usd": state.carried[a, 0],
            "loss_carryforward_long_usd": state.carried[a, 1],
        }
        rates = {"short_term_rate": holders.rates[k, 0], "long_term_rate": holders.rates[k, 1]}
        kind = "taxable" if holders.is_taxed[k] else "tax_exempt"
        status = {
            "tax_status": kind,
            "status": "active",
            "custodian": "lab",
        }
        accounts.append({**own, **status, **rates, "cash_reserve_usd": 0, **gains, **losses})
        cash.append({"account_id": name, "settled_usd": state.cash[a], "pending_usd": 0})
        rules.append({"policy_id": name, **policy.policy.model_dump(mode="json")})
        bands = {"absolute_band": policy.absolute_band, "relative_band": policy.relative_band}
        for c, asset_class in enumerate([*market.classes, CASH]):
            if asset_class != CASH or holders.has_cash_band[k]:
                aimed = {"asset_class": asset_class, "target_weight": holders.target[k, c]}
                targets.append({"model_id": name, **aimed, **bands})
        locations += _locations(name, kind, holders.location[k], market.classes)
        for s in range(holders.class_of.shape[1]):
            if holders.class_of[k, s] < 0:
                continue
            asset_class, security = market.classes[holders.class_of[k, s]], _security(name, s)
            labels = {"symbol": security, "name": security, "security_type": "etf", "is_tradable": True}
            spread = {"quantity_step": holders.step[k, s], "half_spread_bps": holders.spread[k, s] * BPS}
            securities.append({"security_id": security, "asset_class": asset_class, **labels, **spread})
            prices.append({"security_id": security, "price_usd": price_of(course, path, at, s), "price_date": today})
            if holders.choice[k, s] > 0:
                place = {"security_id": security, "rank": int(holders.choice[k, s])}
                choices.append({"model_id": name, "asset_class": asset_class, **place})
            if not holders.can_sell[k, s]:
                closed.append({"account_id": name, "security_id": security, "rule": "no_sell"})
            if state.last_loss[a, s] > LONG_AGO:
                sale = {"account_id": name, "security_id": security, "side": "sell", "price_usd": 1}
                sold = {"quantity": 1 / MILLIONTHS, "realized_gain_usd": -1 / MILLIONTHS}
                trades.append({**sale, **sold, "trade_date": _day(state.last_loss[a, s])})
        for slot in range(state.lot_count[a]):
            lot = {"account_id": name, "lot_id": f"{slot:06d}", "quantity": state.lot_units[a, slot] / MILLIONTHS}
            acquired = _day(course.day[state.lot_date[a, slot]])
            cost = {"unit_cost_usd": state.lot_cost[a, slot], "acquired_date": acquired}
            lots.append({**lot, **cost, "security_id": _security(name, state.lot_security[a, slot])})
    drawn = {"accounts": accounts, "lots": lots, "cash": cash, "securities": securities, "prices": prices}
    drawn |= {
        "model_targets": targets,
        "buy_list": choices,
        "policies": rules,
        "trades": trades,
        "restrictions": closed,
        "location_preferences": locations,
    }
    tables = {name: _table(name, rows) for name, rows in drawn.items()}
    tables["policies"] = with_policy_defaults(tables["policies"])
    empty = {name: _table(name, []) for name in ("households",)}
    known = {name: pl.DataFrame(schema=INTERNAL[name]) for name in ("last_exports", "pending_orders")}
    members = tables["accounts"].select("account_id", household_key=household_key())
    return Facts(as_of=today, trade_date=today, **tables, **empty, **known, members=members)


def _locations(name: str, tax_status: str, costs: Floats, classes: Sequence[str]) -> list[dict[str, object]]:
    """Rows of what a dollar of a class costs in an account."""
    own = {"model_id": name, "tax_status": tax_status}
    priced = zip(classes, costs, strict=True)
    return [{**own, "asset_class": asset_class, "cost_bps": cost * BPS} for asset_class, cost in priced if cost]


def _table(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    """Rows as the landing table; a column that they do not have is null."""
    schema = dtypes(name)
    columns = {column: [row.get(column) for row in rows] for column in schema}
    return pl.DataFrame(columns, strict=False).select(pl.col(column).cast(dtype) for column, dtype in schema.items())


def _security(account: str, number: int) -> str:
    return f"{account} {number:04d}"


def _day(number: int) -> date:
    return date.fromordinal(EPOCH + int(number))


def account_name(account: int) -> str:
    """What an account of the lab is called."""
    return f"A{account:09d}"
