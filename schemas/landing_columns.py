"""Names and types of the landing tables' columns, and which tables are cut into shards: apart from the contract, which takes a second to import.

The contract (``schemas.landing``) has the rules; a test holds the two to the same columns in the same order.
"""

from typing import Final

import polars as pl

from schemas.units import EXACT

TEXT: Final = pl.String()
NUMBER: Final = pl.Float64()
WHOLE: Final = pl.Int64()
DAY: Final = pl.Date()
YES_OR_NO: Final = pl.Boolean()

LANDING: Final[dict[str, dict[str, pl.DataType]]] = {
    "accounts": {
        "account_id": TEXT,
        "household_id": TEXT,
        "custodian": TEXT,
        "tax_status": TEXT,
        "model_id": TEXT,
        "policy_id": TEXT,
        "status": TEXT,
        "short_term_rate": NUMBER,
        "long_term_rate": NUMBER,
        "cash_reserve_usd": EXACT,
        "ytd_short_gain_usd": EXACT,
        "ytd_long_gain_usd": EXACT,
        "loss_carryforward_short_usd": EXACT,
        "loss_carryforward_long_usd": EXACT,
    },
    "lots": {
        "account_id": TEXT,
        "security_id": TEXT,
        "lot_id": TEXT,
        "quantity": EXACT,
        "unit_cost_usd": EXACT,
        "acquired_date": DAY,
        "is_frozen": YES_OR_NO,
    },
    "cash": {
        "account_id": TEXT,
        "settled_usd": EXACT,
        "pending_usd": EXACT,
    },
    "securities": {
        "security_id": TEXT,
        "symbol": TEXT,
        "name": TEXT,
        "asset_class": TEXT,
        "security_type": TEXT,
        "quantity_step": EXACT,
        "half_spread_bps": NUMBER,
        "is_tradable": YES_OR_NO,
        "price_factor": EXACT,
        "exchange": TEXT,
        "cusip": TEXT,
        "isin": TEXT,
        "order_in": TEXT,
    },
    "prices": {
        "security_id": TEXT,
        "price_usd": EXACT,
        "price_date": DAY,
    },
    "model_targets": {
        "model_id": TEXT,
        "asset_class": TEXT,
        "target_weight": NUMBER,
        "absolute_band": NUMBER,
        "relative_band": NUMBER,
    },
    "policies": {
        "policy_id": TEXT,
        "is_pending_invested": YES_OR_NO,
        "cash_tolerance_usd": NUMBER,
        "tracking_penalty": NUMBER,
        "band_rule": TEXT,
        "trade_to": NUMBER,
        "calendar": TEXT,
        "is_threshold_triggered": YES_OR_NO,
        "cool_down_days": WHOLE,
        "open_order_sessions": WHOLE,
        "min_trade_usd": NUMBER,
        "min_trade_weight": NUMBER,
        "improvement": NUMBER,
        "max_turnover": NUMBER,
        "max_orders": WHOLE,
        "trade_mode": TEXT,
        "fewest_trades_bps": NUMBER,
        "unmodelled": TEXT,
        "short_term_gains": TEXT,
        "max_realized_gain_usd": NUMBER,
        "is_harvesting": YES_OR_NO,
        "harvest_min_loss_usd": NUMBER,
        "harvest_min_loss_fraction": NUMBER,
        "wash_sale_days": WHOLE,
        "auto_approve_max_turnover": NUMBER,
        "auto_approve_max_tax_usd": NUMBER,
        "four_eyes_above_usd": NUMBER,
        "proposal_ttl_hours": NUMBER,
    },
    "buy_list": {
        "model_id": TEXT,
        "asset_class": TEXT,
        "security_id": TEXT,
        "rank": WHOLE,
        "tax_status": TEXT,
    },
    "restrictions": {
        "account_id": TEXT,
        "security_id": TEXT,
        "rule": TEXT,
        "until_date": DAY,
        "min_quantity": EXACT,
        "max_quantity": EXACT,
        "min_value_usd": EXACT,
        "max_value_usd": EXACT,
    },
    "trades": {
        "account_id": TEXT,
        "security_id": TEXT,
        "trade_date": DAY,
        "side": TEXT,
        "quantity": EXACT,
        "price_usd": EXACT,
        "realized_gain_usd": EXACT,
    },
    "households": {
        "household_id": TEXT,
        "model_id": TEXT,
        "policy_id": TEXT,
    },
    "location_preferences": {
        "model_id": TEXT,
        "asset_class": TEXT,
        "tax_status": TEXT,
        "cost_bps": NUMBER,
    },
    "account_totals": {
        "account_id": TEXT,
        "value_usd": EXACT,
        "lot_count": WHOLE,
    },
    "corporate_actions": {
        "security_id": TEXT,
        "effective_date": DAY,
        "action": TEXT,
        "ratio": NUMBER,
        "new_security_id": TEXT,
    },
    "investors": {
        "investor_id": TEXT,
        "household_id": TEXT,
        "is_tenth_risked": YES_OR_NO,
        "is_fifth_risked": YES_OR_NO,
        "is_third_risked": YES_OR_NO,
        "is_half_risked": YES_OR_NO,
        "risk_score": NUMBER,
        "horizon_years": NUMBER,
        "yearly_income_usd": EXACT,
        "yearly_flow_usd": EXACT,
        "wealth_usd": EXACT,
        "income_beta": NUMBER,
        "goal_usd": EXACT,
        "goal_date": DAY,
        "glide_path_id": TEXT,
        "profiled_date": DAY,
    },
    "ladder": {
        "model_id": TEXT,
        "rung": WHOLE,
        "expected_return": NUMBER,
        "volatility": NUMBER,
        "source_date": DAY,
    },
    "glide_paths": {
        "glide_path_id": TEXT,
        "years_to_goal": NUMBER,
        "risky_share": NUMBER,
        "rung": WHOLE,
    },
    "flows": {
        "account_id": TEXT,
        "flow_date": DAY,
        "amount_usd": EXACT,
    },
    "tilts": {
        "account_id": TEXT,
        "asset_class": TEXT,
        "delta_weight": NUMBER,
        "exclude": TEXT,
    },
    "index_weights": {
        "index_id": TEXT,
        "security_id": TEXT,
        "weight": NUMBER,
        "weight_date": DAY,
    },
    "direct_indexes": {
        "account_id": TEXT,
        "asset_class": TEXT,
        "index_id": TEXT,
        "tracking_budget": NUMBER,
        "min_weight": NUMBER,
        "exclude": TEXT,
    },
}
"""Column name to Polars type of each table, in contract order."""

IDENTIFIER: Final = (
    r"^(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}|\.[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}|\.\.[A-Za-z0-9._-]{1,62})$"
)
"""1 to 64 of ``A-Z a-z 0-9 . _ -``, and not ``.`` or ``..``."""
IDENTIFIERS: Final = rf"^(?:{IDENTIFIER[1:-1]})(?:\|(?:{IDENTIFIER[1:-1]}))*$"
"""Identifiers joined by a vertical bar."""
LABEL: Final = r"^\S(?:.{0,62}\S)?$"
"""1 to 64 characters that neither start nor end with a space: classes, custodians, symbols."""
CASH: Final = "cash"
"""The asset class every model must have."""
CURRENCY: Final = "USD"
WEIGHT_SUM_TOLERANCE: Final = 1e-6
INDEX_SUM_TOLERANCE: Final = 1e-3
"""Weights of hundreds of securities come rounded; what is left of 1 is spread over all of them."""
INDEX_AGE_DAYS: Final = 100
"""Indexes are made up anew each quarter: weights of an older day are those of an index that is no more."""

PROFILE_TABLES: Final = ("investors", "ladder", "glide_paths")
"""Tables that say whose model an account should have, and that no trade depends on."""

BLANK_IS_ZERO: Final[dict[str, tuple[str, ...]]] = {
    "accounts": ("cash_reserve_usd", "ytd_short_gain_usd", "ytd_long_gain_usd"),
    "cash": ("pending_usd",),
}
"""Amounts that are 0 where their cell is blank or their column is missing."""

SHARDED_TABLES: Final = (
    *("accounts", "lots", "cash", "restrictions", "trades", "account_totals", "flows", "tilts"),
    "direct_indexes",
)
"""Tables with a row per account, cut into shards; the others are read whole."""


def dtypes(table: str) -> dict[str, pl.DataType]:
    """Column name to Polars type of a landing table, in contract order."""
    return dict(LANDING[table])
