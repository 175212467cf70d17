"""Policy decides trades; it is versioned with the inputs and never read from the environment.

Grain: one row of the landing table ``policies`` per ``policy_id``. A parameter that is absent or null takes the default
given here; for the parameters typed ``| None`` null itself is the default and means "no limit" or "always a person".
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.enums import BandRule, Calendar, ShortTermGains, TradeMode, Unmodelled

Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Policy(BaseModel):
    """The parameters of one policy. Frozen; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tracking_penalty: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    band_rule: BandRule = BandRule.LESSER
    trade_to: Fraction = 0.0
    calendar: Calendar = Calendar.NONE
    is_threshold_triggered: bool = True
    cool_down_days: Annotated[int, Field(ge=0)] = 0
    min_trade_usd: NonNegative = 100.0
    min_trade_weight: Fraction = 0.0
    improvement: Fraction = 0.0
    """A class trades only where that removes at least this share of its deviation from target; 0.5 is common practice."""
    max_turnover: NonNegative | None = None
    """Most that may be traded: half of buys + sells over NAV."""
    max_orders: Annotated[int, Field(ge=1)] | None = None
    trade_mode: TradeMode = TradeMode.FULL
    fewest_trades_bps: NonNegative = 0.0
    """Orders are left out, least useful first, while the objective stays within so many bps of NAV; 0 = off."""
    unmodelled: Unmodelled = Unmodelled.HOLD
    short_term_gains: ShortTermGains = ShortTermGains.ALLOW
    max_realized_gain_usd: NonNegative | None = None
    is_harvesting: bool = False
    harvest_min_loss_usd: NonNegative = 500.0
    harvest_min_loss_fraction: Fraction = 0.05
    wash_sale_days: Annotated[int, Field(ge=0)] = 30
    auto_approve_max_turnover: NonNegative | None = None
    auto_approve_max_tax_usd: NonNegative | None = None
    four_eyes_above_usd: NonNegative | None = None
    proposal_ttl_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20.0
