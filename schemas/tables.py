"""The lake's public tables: column names and types; ``schemas.stored`` adds those that only steps read.

Every table carries ``run_id``, ``as_of_date`` and ``shard``; the last is how a step replaces what it wrote and is hidden
from the public views.
"""

from typing import Final

import polars as pl

from schemas.units import EXACT

USD: Final = pl.Decimal(38, 6)
"""Sums of money; six digits after the point like the facts they are made of."""

RUN_COLUMNS: Final[dict[str, pl.DataType]] = {
    "run_id": pl.String(),
    "as_of_date": pl.Date(),
    "shard": pl.Int32(),
}

_SOURCE_ROW: Final[dict[str, pl.DataType]] = {
    "quarantine_id": pl.String(),
    "table_name": pl.String(),
    "file_name": pl.String(),
    "row_number": pl.Int64(),
    "landed_row": pl.Int64(),
    "row": pl.String(),
    "broken_rules": pl.String(),
    "account_id": pl.String(),
    "message": pl.String(),
}
"""``quarantine_id`` names the row by what stands in it, on any night; ``row_number`` is the row in its file, ``landed_row`` that in the landed table."""

PUBLIC: Final[dict[str, dict[str, pl.DataType]]] = {
    "drift": {
        "account_id": pl.String(),
        "asset_class": pl.String(),
        "value_usd": USD,
        "weight": pl.Float64(),
        "target_weight": pl.Float64(),
        "drift": pl.Float64(),
        "band": pl.Float64(),
        "is_out_of_band": pl.Boolean(),
    },
    "household_drift": {
        "household_id": pl.String(),
        "asset_class": pl.String(),
        "value_usd": USD,
        "weight": pl.Float64(),
        "target_weight": pl.Float64(),
        "drift": pl.Float64(),
        "band": pl.Float64(),
        "is_out_of_band": pl.Boolean(),
        "nav_usd": USD,
    },
    "account_drift": {
        "account_id": pl.String(),
        "nav_usd": USD,
        "one_way_drift": pl.Float64(),
        "max_abs_drift": pl.Float64(),
        "triggers": pl.String(),
    },
    "account_outcomes": {
        "account_id": pl.String(),
        "outcome": pl.String(),
        "reason": pl.String(),
    },
    "proposals": {
        "proposal_id": pl.String(),
        "account_id": pl.String(),
        "triggers": pl.String(),
        "nav_usd": USD,
        "one_way_drift_before": pl.Float64(),
        "one_way_drift_after": pl.Float64(),
        "turnover": pl.Float64(),
        "est_cost_usd": USD,
        "est_tax_usd": USD,
        "realized_short_gain_usd": USD,
        "realized_long_gain_usd": USD,
        "objective_usd": pl.Float64(),
        "lower_bound_usd": pl.Float64(),
        "gap_bps": pl.Float64(),
        "shadow_price": pl.Float64(),
        "tax_regime": pl.String(),
        "marginal_short_rate": pl.Float64(),
        "marginal_long_rate": pl.Float64(),
        "cash_before_usd": USD,
        "cash_after_usd": USD,
        "order_count": pl.Int64(),
        "gross_value_usd": USD,
        "route": pl.String(),
        "route_reasons": pl.String(),
        "look_reasons": pl.String(),
        "priority": pl.Int64(),
        "content_hash": pl.String(),
        "custodian": pl.String(),
        "model_hash": pl.String(),
        "approvals_needed": pl.Int64(),
        "ttl_hours": pl.Float64(),
    },
    "orders": {
        "order_id": pl.String(),
        "proposal_id": pl.String(),
        "account_id": pl.String(),
        "side": pl.String(),
        "security_id": pl.String(),
        "symbol": pl.String(),
        "quantity": EXACT,
        "price_usd": EXACT,
        "value_usd": USD,
        "est_cost_usd": USD,
        "est_tax_usd": USD,
        "reason": pl.String(),
        "marginal_benefit_bps": pl.Float64(),
        "marginal_cost_bps": pl.Float64(),
    },
    "lot_relief": {
        "order_id": pl.String(),
        "account_id": pl.String(),
        "security_id": pl.String(),
        "lot_id": pl.String(),
        "quantity": EXACT,
        "unit_cost_usd": EXACT,
        "acquired_date": pl.Date(),
        "term": pl.String(),
        "gain_usd": USD,
    },
    "class_reasons": {
        "account_id": pl.String(),
        "asset_class": pl.String(),
        "code": pl.String(),
        "drift_before": pl.Float64(),
        "drift_after": pl.Float64(),
        "detail": pl.String(),
    },
    "anomalies": {
        "account_id": pl.String(),
        "residual_bps": pl.Float64(),
        "score": pl.Float64(),
        "nights": pl.Int64(),
        "recent_bps": pl.String(),
    },
    "frontier": {
        "account_id": pl.String(),
        "scenario": pl.String(),
        "tracking_penalty": pl.Float64(),
        "trade_to": pl.Float64(),
        "one_way_drift_after": pl.Float64(),
        "est_tax_usd": USD,
        "est_cost_usd": USD,
        "turnover": pl.Float64(),
        "order_count": pl.Int64(),
        "objective_usd": pl.Float64(),
        "is_chosen": pl.Boolean(),
    },
    "quarantine": _SOURCE_ROW,
    "released_rows": {
        **_SOURCE_ROW,
        "released_by": pl.String(),
        "release_note": pl.String(),
        "released_at": pl.String(),
    },
}
"""Public tables, beyond the run columns. ``unit_cost_usd``, ``acquired_date``, ``term`` and ``gain_usd`` of a lot are null where its basis is unknown. ``released_rows`` are those that broke rules and that a person let through. ``anomalies`` has a row for each account that was accepted on an earlier night. ``frontier`` has one row an account, scenario and tracking_penalty, where settings ask for it."""
