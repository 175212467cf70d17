"""Every table that the lake stores: the public ones, those that only steps read, and those of the policy lab.

``landed_*`` are the landing tables as pulled: contract columns typed, a cell that did not parse is null in its column and
the whole row stands as it was read in ``raw`` (JSON).
"""

from typing import Final

import polars as pl

from schemas.lab_tables import LAB, LAB_INTERNAL
from schemas.landing_columns import LANDING, dtypes
from schemas.tables import PUBLIC, RUN_COLUMNS, USD
from schemas.units import EXACT

LANDED_COLUMNS: Final[dict[str, pl.DataType]] = {
    "row_number": pl.Int64(),
    "raw": pl.String(),
    "unparsed": pl.String(),
}
"""``row_number``: 1 = the first data row of the file. ``unparsed``: names of the columns that could not be read as their type, joined by a bar."""

FILLS_TO_SHOW: Final[dict[str, pl.DataType]] = {
    "order_id": pl.String(),
    "account_id": pl.String(),
    "security_id": pl.String(),
    "side": pl.String(),
    "filled_quantity": EXACT,
    "average_price_usd": EXACT,
    "proposed_date": pl.Date(),
    "then_quantity": pl.Decimal(38, 6),
    "expected_change": pl.Decimal(38, 6),
    "session_count": pl.Int64(),
    "is_in_usd": pl.Boolean(),
}
"""Filled orders that holdings have to show. ``then_quantity``: the holding that the order was made on. ``expected_change``: what all
orders of the account and security since then were filled with, bought above and sold below 0. ``session_count``: trading days after
``proposed_date``, tonight's included. ``is_in_usd``: it was ordered in dollars, the quantity of an open one is an estimate."""

INTERNAL: Final[dict[str, dict[str, pl.DataType]]] = {
    **{f"landed_{name}": {**dtypes(name), **LANDED_COLUMNS} for name in LANDING},
    "scope": {"account_id": pl.String()},
    "gate": {"account_id": pl.String(), "outcome": pl.String(), "reason": pl.String()},
    "vouched": {"account_id": pl.String()},
    "awaiting": {"account_id": pl.String(), "reason": pl.String()},
    "carried_lots": {name: dtype for name, dtype in dtypes("lots").items() if name != "is_frozen"},
    "carried_cash": dtypes("cash"),
    "carried_rules": {
        "account_id": pl.String(),
        "security_id": pl.String(),
        "rule": pl.String(),
        "until_date": pl.Date(),
        "household_id": pl.String(),
        "asset_class": pl.String(),
        "index_id": pl.String(),
    },
    "carried": {"account_id": pl.String(), "accepted_date": pl.Date()},
    "pending_orders": {
        "account_id": pl.String(),
        "security_id": pl.String(),
        "side": pl.String(),
        "quantity": EXACT,
        "trade_date": pl.Date(),
        "is_loss": pl.Boolean(),
    },
    "known_fills": dtypes("trades"),
    "fills_to_show": FILLS_TO_SHOW,
    "unshown_fills": {**FILLS_TO_SHOW, "moved": pl.Decimal(38, 6)},
    "orders_to_show": FILLS_TO_SHOW,
    "open_orders": {**FILLS_TO_SHOW, "moved": pl.Decimal(38, 6)},
    "remembered_actions": dtypes("corporate_actions"),
    "renamed_securities": {"former_id": pl.String(), "security_id": pl.String(), "effective_date": pl.Date()},
    "late_prices": {"security_id": pl.String(), "effective_date": pl.Date()},
    "always_review": {"reason": pl.String()},
    "trade_date": {"trade_date": pl.Date()},
    "held_accounts": {"account_id": pl.String(), "held_by": pl.String()},
    "changed_models": {
        "change_id": pl.String(),
        "subject_kind": pl.String(),
        "subject_id": pl.String(),
        "from_model_id": pl.String(),
        "to_model_id": pl.String(),
    },
    "performance_state": {
        "account_id": pl.String(),
        "night_date": pl.Date(),
        "return_count": pl.Int64(),
        "session_count": pl.Int64(),
        **{f"{of}_{part}": pl.Float64() for of in ("return", "excess", "tracking") for part in ("mean", "m2")},
        "peak_growth": pl.Float64(),
        "inception_value_usd": USD,
        "cash_usd": USD,
        "year_short_usd": USD,
        "year_long_usd": USD,
        "year_tax_usd": pl.Float64(),
    },
    "twin_lots": {
        "account_id": pl.String(),
        "night_date": pl.Date(),
        "security_id": pl.String(),
        "lot_id": pl.String(),
        "quantity": EXACT,
        "unit_cost_usd": EXACT,
        "acquired_date": pl.Date(),
    },
    "twin_state": {
        "account_id": pl.String(),
        "night_date": pl.Date(),
        "twin_since_date": pl.Date(),
        "cash_usd": USD,
        **{f"{of}_{term}_usd": USD for term in ("short", "long") for of in ("year", "carried")},
        **{f"{of}_total_usd": pl.Float64() for of in ("tax", "own_tax", "cost", "own_cost")},
    },
    "performance_flows": {
        "account_id": pl.String(),
        "night_date": pl.Date(),
        "flow_date": pl.Date(),
        "flow_usd": pl.Float64(),
    },
    "made_with": {"step": pl.String(), "kind": pl.String(), "name": pl.String(), "value": pl.String()},
    "last_exports": {"account_id": pl.String(), "exported_date": pl.Date(), "model_hash": pl.String()},
}
"""``scope``: accounts pulled to be looked at; the rest of their households is landed beside them. ``gate``: accounts that go no further, quarantined or waiting for a file, and why. ``vouched``: accounts that were
checked against the custodian's totals or an earlier night. ``awaiting``: accounts whose custodian's file has not come or
could not be used. ``carried``: when each of those was
last accepted, what it held then and which restrictions and household it had, for the next night to compare with. ``last_exports``: what the ledger knew of each account when the run was pulled, and ``held_accounts``
of whom somebody held the last undecided proposal. ``known_fills``: what brokers
told of orders that left, as far as the landed trades do not show it; it counts where trades count. ``fills_to_show``: fills told of since the last
night over all accounts, and those that holdings did not show then; ``unshown_fills``: what of them tonight's do not show.
``orders_to_show``, ``open_orders``: the same of orders that left and have no final word, as if all of each were filled; ``then_quantity`` is
null where a broker took a fill back, which no holding can show. ``always_review``: the setting as it was then. ``remembered_actions``: corporate actions that earlier nights were told of.
``renamed_securities``: identifiers that these and tonight's changed, each with all that it became, one share for one.
``late_prices``: securities
whose price was still in shares of before a split that was told. ``changed_models``: approved model changes that were in force when the run was pulled. ``trade_date``: the first session after the as-of date, on which the orders trade; runs that have no row judged by the as-of date.
``performance_state``: what a night of an account keeps for the next beside its row of ``performance``: running means and sums of squared deviations, the year's
gains and tax. ``performance_flows``: every flow that a night counted. ``twin_lots``, ``twin_state``: what an account's twin holds, what its year's
gains are, and what tax and half spreads of both come to since it began.
``made_with``: settings that decided what a step wrote, and versions of what computed it."""

TABLES: Final[dict[str, dict[str, pl.DataType]]] = {
    name: {**RUN_COLUMNS, **columns} for name, columns in {**PUBLIC, **INTERNAL, **LAB, **LAB_INTERNAL}.items()
}
