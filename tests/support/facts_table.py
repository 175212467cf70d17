"""Facts drawn as tables: a column that is not drawn has its default, an empty cell is null.

The default world has one taxable account ``a`` without holdings, a model ``m`` of 60 % stocks and 40 % bonds, and the
securities ``S`` and ``B`` at 100 USD without spread, each the only choice of its class.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from typing import Any, Final

import polars as pl

from schemas.landing_columns import dtypes
from schemas.stored import INTERNAL
from tasks.core.drift.drift import drift_by_class, household_drift
from tasks.core.facts.facts import Facts, account_parameters, priced_securities, valued_lots, with_policy_defaults
from tasks.core.facts.shards import household_key
from tasks.core.gate.parsing import parse
from tasks.core.propose.solve import solve
from tasks.core.propose.solved import Solved
from tasks.core.rules.compile import Problem, compile_book
from tests.support.landing_book import rows_of

AS_OF: Final = date(2026, 3, 2)
DEFAULTS: Final[dict[str, dict[str, str | None]]] = {
    "accounts": {
        "household_id": None,
        "custodian": "northbank",
        "tax_status": "taxable",
        "model_id": "m",
        "policy_id": "p",
        "status": "active",
        "short_term_rate": "0.4",
        "long_term_rate": "0.2",
        "cash_reserve_usd": "0",
        "ytd_short_gain_usd": "0",
        "ytd_long_gain_usd": "0",
        "loss_carryforward_short_usd": None,
        "loss_carryforward_long_usd": None,
    },
    "lots": {
        "account_id": "a",
        "lot_id": "1",
        "unit_cost_usd": "100",
        "acquired_date": "2015-01-05",
        "is_frozen": None,
    },
    "cash": {"account_id": "a", "settled_usd": "0", "pending_usd": "0"},
    "securities": {
        "symbol": None,
        "name": "name",
        "security_type": "etf",
        "quantity_step": "1",
        "half_spread_bps": "0",
        "is_tradable": "true",
    },
    "prices": {"price_usd": "100", "price_date": AS_OF.isoformat()},
    "model_targets": {"model_id": "m", "absolute_band": "0.05", "relative_band": None},
    "index_weights": {"index_id": "i", "weight_date": AS_OF.isoformat()},
    "direct_indexes": {
        "account_id": "a",
        "asset_class": "stocks",
        "index_id": "i",
        "tracking_budget": None,
        "min_weight": None,
        "exclude": None,
    },
    "buy_list": {"model_id": "m", "rank": "1", "tax_status": None},
    "restrictions": {
        "account_id": "a",
        "rule": "no_trade",
        "until_date": None,
        "min_quantity": None,
        "max_quantity": None,
        "min_value_usd": None,
        "max_value_usd": None,
    },
    "households": {"household_id": "h", "model_id": "m", "policy_id": "p"},
    "location_preferences": {"model_id": "m"},
    "trades": {
        "account_id": "a",
        "trade_date": AS_OF.isoformat(),
        "side": "sell",
        "quantity": "1",
        "price_usd": "100",
        "realized_gain_usd": "-1",
    },
}
WORLD: Final = {
    "accounts": """
        account_id
        a
    """,
    "securities": """
        security_id | asset_class
        S           | stocks
        B           | bonds
    """,
    "model_targets": """
        asset_class | target_weight
        stocks      | 0.6
        bonds       | 0.4
        cash        | 0
    """,
    "buy_list": """
        asset_class | security_id
        stocks      | S
        bonds       | B
    """,
}
POLICY: Final = "p"


@cache
def table(name: str, text: str) -> pl.DataFrame:
    """The landing table drawn in ``text``, typed."""
    return _typed(name, rows_of(text))


def facts_of(policy: Mapping[str, Any] | None = None, /, **drawn: str) -> Facts:
    """The default world with the tables drawn; ``policy``: parameters of every account's policy that are not the default.

    Where ``direct_indexes`` are drawn, classes are held so.
    Every account has a row of cash and every security a price of 100 unless the table is drawn.
    """
    tables = {name: table(name, text) for name, text in {**WORLD, **drawn}.items()}
    tables.setdefault("cash", _typed("cash", tables["accounts"].select("account_id")))
    tables.setdefault("prices", _typed("prices", tables["securities"].select("security_id")))
    for name in ("lots", "restrictions", "trades", "households", "location_preferences"):
        tables.setdefault(name, pl.DataFrame(schema=dtypes(name)))
    indexes = [tables.pop(name, None) for name in ("direct_indexes", "index_weights")]
    policies = pl.DataFrame([{"policy_id": POLICY, **(policy or {})}], schema=dtypes("policies"))
    facts = Facts(
        as_of=AS_OF,
        trade_date=AS_OF,
        **tables,
        policies=with_policy_defaults(policies),
        last_exports=pl.DataFrame(schema=INTERNAL["last_exports"]),
        pending_orders=pl.DataFrame(schema=INTERNAL["pending_orders"]),
        members=tables["accounts"].select("account_id", household_key=household_key()),
    )
    held, weights = indexes
    return facts if held is None or weights is None else facts.with_indexes(held, weights)


def shuffled_facts(facts: Facts, seed: int) -> Facts:
    """The same facts, the rows of each table in another order."""
    frames = {name: each for name, each in vars(facts).items() if isinstance(each, pl.DataFrame)}
    return replace(facts, **{name: each.sample(fraction=1, shuffle=True, seed=seed) for name, each in frames.items()})


def _typed(name: str, drawn: pl.DataFrame) -> pl.DataFrame:
    missing = [pl.lit(value, pl.String).alias(column) for column, value in DEFAULTS.get(name, {}).items()]
    whole = drawn.with_columns(column for column in missing if column.meta.output_name() not in drawn.columns)
    if name == "securities":
        whole = whole.with_columns(pl.col("symbol").fill_null(pl.col("security_id")))
    parsed = parse(name, whole, is_text=True)
    assert parsed["unparsed"].null_count() == parsed.height, parsed.filter(pl.col("unparsed").is_not_null())
    return parsed.select(dtypes(name).keys())


def drift_of(facts: Facts) -> pl.DataFrame:
    """Drift by class of every account."""
    lots = valued_lots(facts, priced_securities(facts))
    return drift_by_class(lots, account_parameters(facts), facts.model_targets)


def household_drift_of(facts: Facts) -> pl.DataFrame:
    """Drift by class of every household that is managed together."""
    return household_drift(drift_of(facts), account_parameters(facts), facts.model_targets)


def problem_of(facts: Facts, trade_date: date = AS_OF) -> Problem:
    """Every account compiled, whatever its triggers."""
    drift, securities = drift_of(facts), priced_securities(facts)
    nav = drift.select("account_id", "nav_usd").unique()
    accounts = account_parameters(facts).join(nav, on="account_id")
    lots = valued_lots(facts, securities)
    return compile_book(accounts, drift, lots, facts=facts, securities=securities, trade_date=trade_date)


def solved_of(facts: Facts, trade_date: date = AS_OF) -> Solved:
    """Every account solved, whatever its triggers."""
    return solve(problem_of(facts, trade_date))


def traded(solved: Solved, account_id: str = "a") -> dict[str, float]:
    """Shares bought (+) and sold (-) by security."""
    bought = solved.classes.select("account_id", security_id="buy_security_id", shares="bought")
    sold = solved.lots.select("account_id", "security_id", shares=-pl.col("sold"))
    both = pl.concat([bought, sold]).filter((pl.col("account_id") == account_id) & (pl.col("shares") != 0))
    return dict(both.group_by("security_id").agg(pl.col("shares").sum().cast(pl.Float64)).sort("security_id").rows())


def ago(days: int) -> str:
    """The date so many days before ``AS_OF``."""
    return (AS_OF - timedelta(days=days)).isoformat()


def by_class(frame: pl.DataFrame, column: str) -> dict[str, Any]:
    """A column by asset class; cash is left out where the frame has none."""
    return dict(frame.select("asset_class", column).rows())
