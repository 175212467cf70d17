"""The sample book's policies: most accounts follow an ordinary one, a few each show one further rule."""

from typing import Final

import polars as pl

from schemas.landing_columns import dtypes

POLICIES: Final[dict[str, dict[str, object]]] = {
    "standard": {"auto_approve_max_turnover": 0.08, "auto_approve_max_tax_usd": 1000.0},
    "half_way": {"trade_to": 0.5, "auto_approve_max_turnover": 0.06, "auto_approve_max_tax_usd": 1000.0},
    "band_edge": {"trade_to": 1.0, "auto_approve_max_turnover": 0.05, "auto_approve_max_tax_usd": 500.0},
    "gentle": {
        "short_term_gains": "avoid", "unmodelled": "sell", "auto_approve_max_turnover": 0.10,
        "auto_approve_max_tax_usd": 2000.0,
    },
    "monthly": {
        "calendar": "monthly", "auto_approve_max_turnover": 0.08, "auto_approve_max_tax_usd": 1500.0,
        "min_trade_usd": 250.0,
    },
    "quarterly": {
        "calendar": "quarterly", "cool_down_days": 5, "auto_approve_max_turnover": 0.08,
        "auto_approve_max_tax_usd": 1500.0,
    },
    "cautious": {"min_trade_usd": 200.0},
    "generous": {"auto_approve_max_turnover": 0.5, "auto_approve_max_tax_usd": 25000.0},
    "private": {
        "four_eyes_above_usd": 250000.0, "min_trade_usd": 250.0, "auto_approve_max_turnover": 0.05,
        "auto_approve_max_tax_usd": 2000.0,
    },
    "harvester": {
        "is_harvesting": True, "auto_approve_max_turnover": 0.08, "auto_approve_max_tax_usd": 1000.0,
    },
    "gain_budget": {
        "max_realized_gain_usd": 2000.0, "auto_approve_max_turnover": 0.08, "auto_approve_max_tax_usd": 1000.0,
    },
    "worthwhile": {"improvement": 0.5, "auto_approve_max_turnover": 0.08, "auto_approve_max_tax_usd": 1000.0},
    "sparing": {
        "max_turnover": 0.03, "max_orders": 4, "fewest_trades_bps": 0.5, "auto_approve_max_turnover": 0.08,
        "auto_approve_max_tax_usd": 1000.0,
    },
    "accumulating": {"trade_mode": "buy_only", "auto_approve_max_turnover": 0.08, "auto_approve_max_tax_usd": 0.0},
    "cash_flow": {
        "trade_mode": "cash_flow_first", "auto_approve_max_turnover": 0.08, "auto_approve_max_tax_usd": 1000.0,
    },
    "family": {"auto_approve_max_turnover": 0.05, "auto_approve_max_tax_usd": 1000.0},
}  # fmt: skip
"""What differs from the default of each policy; ``cautious`` has no limits of approval, so a person always looks."""
POLICY_IDS: Final = tuple(POLICIES)
POLICY_SHARES: Final = (0.28, 0.11, 0.07, 0.12, 0.08, 0.06, 0.05, 0.05, 0.06, 0.03, 0.02, 0.02, 0.02, 0.01, 0.02, 0.0)
"""How many of the accounts follow each policy."""
HOUSEHOLD_POLICY: Final = "family"
"""What households that are managed together follow."""
POLICY_BASE: Final[dict[str, object]] = {
    "tracking_penalty": 2.0,
    "band_rule": "lesser",
    "trade_to": 0.0,
    "calendar": "none",
    "is_threshold_triggered": True,
    "cool_down_days": 0,
    "min_trade_usd": 100.0,
    "min_trade_weight": 0.0,
    "trade_mode": "full",
    "unmodelled": "hold",
    "short_term_gains": "allow",
    "is_harvesting": False,
    "wash_sale_days": 30,
    "proposal_ttl_hours": 20.0,
}


def policies() -> pl.DataFrame:
    """One row a policy; a null takes the default of ``schemas.policy``."""
    rows = [{"policy_id": name, **POLICY_BASE, **own} for name, own in POLICIES.items()]
    return pl.DataFrame(rows, schema=dtypes("policies"))
