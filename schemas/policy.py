"""Policy decides trades; it is versioned with the inputs and never read from the environment.

Grain: one row of the landing table ``policies`` per ``policy_id``. A parameter that is absent or null takes the default
given here; for the parameters typed ``| None`` null itself is the default and means "no limit" or "always a person".
"""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.enums import BandRule, Calendar, ShortTermGains, TradeMode, Unmodelled

MOST_DOLLARS: Final = 10**12
"""As much as any amount of the contract."""
MOST_DAYS: Final = 366
MOST_HOURS: Final = 8784
"""A year of hours."""
MOST_TURNOVER: Final = 10
"""Beyond what an account can trade: as wide, a limit limits nothing, and wider the solver's numbers lose their digits."""
MOST_APPROVED_TURNOVER: Final = 1000

Fraction = Annotated[float, Field(ge=0, le=1)]
Dollars = Annotated[float, Field(ge=0, le=MOST_DOLLARS)]
Days = Annotated[int, Field(ge=0, le=MOST_DAYS)]


class Policy(BaseModel):
    """The parameters of one policy. Frozen; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    is_pending_invested: bool = False
    """Whether contributions count before they have settled; withdrawals always count."""
    cash_tolerance_usd: Dollars = 5.0
    """Cash that is less than this below zero, or below the reserve, is not owed."""
    tracking_penalty: Annotated[float, Field(ge=0.0001, le=1_000_000)] = 2.0
    """What distance from the model costs: a class 1 % of NAV off its destination costs half so many basis points of NAV."""
    band_rule: BandRule = BandRule.LESSER
    """Which band counts where a class has both: ``lesser`` is the 5/25 rule."""
    trade_to: Fraction = 0.0
    """Where a rebalance lands: 0 = the target, 0.5 = half-way, 1 = the edge of the band."""
    calendar: Calendar = Calendar.NONE
    """Due on the first trading day of the period, whatever the drift."""
    is_threshold_triggered: bool = True
    """Trade when a class is out of its band; touching the edge is inside."""
    cool_down_days: Days = 0
    """So many days after an export drift and calendar trigger nothing; 0 = off."""
    open_order_sessions: Annotated[int, Field(ge=1, le=60)] = 5
    """An account waits while orders that left have no final word and its holdings do not show them; after so many trading days a person is told."""
    min_trade_usd: Dollars = 100.0
    """Smallest order, with ``min_trade_weight``: the greater of the two."""
    min_trade_weight: Fraction = 0.0
    """Smallest order as a share of NAV."""
    improvement: Fraction = 0.0
    """A class trades only where that removes at least this share of its deviation from target; 0.5 is common practice."""
    max_turnover: Annotated[float, Field(ge=0, le=MOST_TURNOVER)] | None = None
    """Most that may be traded: half of buys + sells over NAV; null = no limit."""
    max_orders: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Most orders of an account; null = no limit."""
    trade_mode: TradeMode = TradeMode.FULL
    """Buys and sells, or only one of them."""
    fewest_trades_bps: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    """Orders are left out, least useful first, while the objective stays within so many bps of NAV; 0 = off."""
    unmodelled: Unmodelled = Unmodelled.HOLD
    """Whether what the model has no class for is sold or held."""
    short_term_gains: ShortTermGains = ShortTermGains.ALLOW
    """``avoid``: a lot at a short-term gain is not sold unless cash must be raised."""
    max_realized_gain_usd: Dollars | None = None
    """Most net gain that the account may realize in a run; null = no limit."""
    is_harvesting: bool = False
    """Sell lots whose loss reaches both limits below, and buy an alternate."""
    harvest_min_loss_usd: Dollars = 500.0
    """Least loss of a lot to be harvested, in dollars."""
    harvest_min_loss_fraction: Fraction = 0.05
    """Least loss of a lot to be harvested, as a share of its cost."""
    wash_sale_days: Days = 30
    """Days on either side of a loss sale in which a purchase of the household disallows the loss."""
    auto_approve_max_turnover: Annotated[float, Field(ge=0, le=MOST_APPROVED_TURNOVER)] | None = None
    """Turnover above which a person must look; null = always a person."""
    auto_approve_max_tax_usd: Dollars | None = None
    """Tax above which a person must look; null = always a person."""
    four_eyes_above_usd: Dollars | None = None
    """Buys + sells above which two people have to approve; null = one is enough."""
    proposal_ttl_hours: Annotated[float, Field(ge=0.01, le=MOST_HOURS)] = 20.0
    """A proposal that is not decided and exported within so many hours expires."""
