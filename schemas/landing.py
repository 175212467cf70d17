"""The landing contract: what a source delivers, as Pandera models.

One class a table; a field's checks are its rules, ``Key`` names its key. Both rows of a duplicate key break the rule: we
do not guess. Identifiers become file names and SQL values downstream, hence their narrow alphabet. Money is USD.
Quantities, prices and amounts are Decimal(18, 6); rates, weights and bands are Float64 fractions of 1.
"""

from datetime import date
from typing import Annotated, Any, Final

import pandera.polars as pa
import polars as pl

from schemas.enums import (
    AccountStatus,
    ActionKind,
    BandRule,
    Calendar,
    OrderUnit,
    RestrictionRule,
    SecurityType,
    ShortTermGains,
    Side,
    TaxStatus,
    TradeMode,
    Unmodelled,
)
from schemas.landing_columns import BLANK_IS_ZERO, IDENTIFIER, IDENTIFIERS, LABEL, PROFILE_TABLES
from schemas.policy import MOST_APPROVED_TURNOVER, MOST_DAYS, MOST_DOLLARS, MOST_HOURS, MOST_TURNOVER

Exact = Annotated[pl.Decimal, 18, 6]
"""Money, price or quantity: 18 digits, 6 of them after the point."""

MOST_YEARS: Final = 100
"""Of a horizon, or until a goal."""


def label() -> Any:
    """Field of a short name."""
    return pa.Field(str_matches=LABEL)


def identifier(*, nullable: bool = False) -> Any:
    """Field of an identifier."""
    return pa.Field(str_matches=IDENTIFIER, nullable=nullable)


class Accounts(pa.DataFrameModel):
    """One custodial registration. ``household_id`` null: managed alone."""

    account_id: str = identifier()
    household_id: str = identifier(nullable=True)
    custodian: str = label()
    tax_status: str = pa.Field(isin=list(TaxStatus))
    model_id: str = identifier()
    policy_id: str = identifier()
    status: str = pa.Field(isin=list(AccountStatus))
    short_term_rate: float = pa.Field(ge=0, le=1)
    long_term_rate: float = pa.Field(ge=0, le=1)
    cash_reserve_usd: Exact = pa.Field(ge=0)
    ytd_short_gain_usd: Exact
    ytd_long_gain_usd: Exact
    loss_carryforward_short_usd: Exact = pa.Field(ge=0, nullable=True)
    loss_carryforward_long_usd: Exact = pa.Field(ge=0, nullable=True)

    class Config:
        """Key."""

        unique = ["account_id"]


class Lots(pa.DataFrameModel):
    """A tax lot belongs to one account; the same ``lot_id`` may repeat across accounts. Null cost or date: unknown; a cost of 0 is a real zero.

    ``unit_cost_usd`` is in the terms of the security's price, so that a lot cost quantity x unit cost x price factor. A lot of quantity
    0 counts for nothing. The table may have no rows: an account that holds only cash has no lots.
    """

    account_id: str = identifier()
    security_id: str = identifier()
    lot_id: str = identifier()
    quantity: Exact = pa.Field(ge=0)
    unit_cost_usd: Exact = pa.Field(ge=0, nullable=True)
    acquired_date: date = pa.Field(nullable=True)
    is_frozen: bool = pa.Field(nullable=True)

    class Config:
        """Key."""

        unique = ["account_id", "security_id", "lot_id"]


class Cash(pa.DataFrameModel):
    """Cash of an account. ``settled_usd`` may be negative; pending contributions are positive, withdrawals negative.

    Each account has its row. One more in another currency (column ``currency``) counts for nothing where it is under a hundredth of it.
    """

    account_id: str = identifier()
    settled_usd: Exact
    pending_usd: Exact

    class Config:
        """Key."""

        unique = ["account_id"]


class Securities(pa.DataFrameModel):
    """What can be held. ``quantity_step`` 1 = whole shares, 0.001 = thousandths.

    Value = quantity x price x ``price_factor``, null = 1; a bond must have one: face amounts at percent of par have 0.01.
    ``exchange`` tells securities of one symbol apart. ``cusip`` and ``isin`` go along with orders; one that cannot be right does not, and
    stops nobody. What is bought of a security with ``order_in`` usd is ordered in dollars; null: in shares.
    """

    security_id: str = identifier()
    symbol: str = label()
    name: str
    asset_class: str = label()
    security_type: str = pa.Field(isin=list(SecurityType))
    quantity_step: Exact = pa.Field(gt=0)
    half_spread_bps: float = pa.Field(ge=0, lt=10_000)
    is_tradable: bool
    price_factor: Exact = pa.Field(gt=0, nullable=True)
    exchange: str = pa.Field(str_matches=LABEL, nullable=True)
    cusip: str = pa.Field(nullable=True)
    isin: str = pa.Field(nullable=True)
    order_in: str = pa.Field(isin=list(OrderUnit), nullable=True)

    class Config:
        """Key."""

        unique = ["security_id"]


class Prices(pa.DataFrameModel):
    """Reference prices. What has a price of 0 counts 0 and is never traded."""

    security_id: str = identifier()
    price_usd: Exact = pa.Field(ge=0)
    price_date: date

    class Config:
        """Key."""

        unique = ["security_id"]


class ModelTargets(pa.DataFrameModel):
    """Target of a class in a model. Bands: null = none; ``relative_band`` is a fraction of the target."""

    model_id: str = identifier()
    asset_class: str = label()
    target_weight: float = pa.Field(ge=0, le=1)
    absolute_band: float = pa.Field(ge=0, nullable=True)
    relative_band: float = pa.Field(ge=0, nullable=True)

    class Config:
        """Key."""

        unique = ["model_id", "asset_class"]


class BuyList(pa.DataFrameModel):
    """Securities that implement a class, in order of preference. ``tax_status`` null: any account."""

    model_id: str = identifier()
    asset_class: str = label()
    security_id: str = identifier()
    rank: int = pa.Field(ge=1)
    tax_status: str = pa.Field(isin=list(TaxStatus), nullable=True)


class Restrictions(pa.DataFrameModel):
    """What may not be traded. ``account_id`` null: every account; ``until_date`` null: for good, and the date itself is still restricted.

    The last four columns belong to ``hold_range``: what an account keeps of the security, at least and at most.
    """

    account_id: str = identifier(nullable=True)
    security_id: str = identifier()
    rule: str = pa.Field(isin=list(RestrictionRule))
    until_date: date = pa.Field(nullable=True)
    min_quantity: Exact = pa.Field(ge=0, nullable=True)
    max_quantity: Exact = pa.Field(ge=0, nullable=True)
    min_value_usd: Exact = pa.Field(ge=0, nullable=True)
    max_value_usd: Exact = pa.Field(ge=0, nullable=True)


class Trades(pa.DataFrameModel):
    """Recent trades, the last 61 days at least. ``realized_gain_usd`` is null for buys."""

    account_id: str = identifier()
    security_id: str = identifier()
    trade_date: date
    side: str = pa.Field(isin=list(Side))
    quantity: Exact = pa.Field(gt=0)
    price_usd: Exact = pa.Field(gt=0)
    realized_gain_usd: Exact = pa.Field(nullable=True)


class Policies(pa.DataFrameModel):
    """Parameters of ``schemas.policy.Policy``; a parameter absent or null takes its default, one beyond its range is refused."""

    policy_id: str = identifier()
    is_pending_invested: bool = pa.Field(nullable=True)
    cash_tolerance_usd: float = pa.Field(ge=0, le=MOST_DOLLARS, nullable=True)
    tracking_penalty: float = pa.Field(ge=0.0001, le=1_000_000, nullable=True)
    band_rule: str = pa.Field(isin=list(BandRule), nullable=True)
    trade_to: float = pa.Field(ge=0, le=1, nullable=True)
    calendar: str = pa.Field(isin=list(Calendar), nullable=True)
    is_threshold_triggered: bool = pa.Field(nullable=True)
    cool_down_days: int = pa.Field(ge=0, le=MOST_DAYS, nullable=True)
    open_order_sessions: int = pa.Field(ge=1, le=60, nullable=True)
    min_trade_usd: float = pa.Field(ge=0, le=MOST_DOLLARS, nullable=True)
    min_trade_weight: float = pa.Field(ge=0, le=1, nullable=True)
    improvement: float = pa.Field(ge=0, le=1, nullable=True)
    max_turnover: float = pa.Field(ge=0, le=MOST_TURNOVER, nullable=True)
    max_orders: int = pa.Field(ge=1, le=1_000_000, nullable=True)
    trade_mode: str = pa.Field(isin=list(TradeMode), nullable=True)
    fewest_trades_bps: float = pa.Field(ge=0, le=10_000, nullable=True)
    unmodelled: str = pa.Field(isin=list(Unmodelled), nullable=True)
    short_term_gains: str = pa.Field(isin=list(ShortTermGains), nullable=True)
    max_realized_gain_usd: float = pa.Field(ge=0, le=MOST_DOLLARS, nullable=True)
    is_harvesting: bool = pa.Field(nullable=True)
    harvest_min_loss_usd: float = pa.Field(ge=0, le=MOST_DOLLARS, nullable=True)
    harvest_min_loss_fraction: float = pa.Field(ge=0, le=1, nullable=True)
    wash_sale_days: int = pa.Field(ge=0, le=MOST_DAYS, nullable=True)
    auto_approve_max_turnover: float = pa.Field(ge=0, le=MOST_APPROVED_TURNOVER, nullable=True)
    auto_approve_max_tax_usd: float = pa.Field(ge=0, le=MOST_DOLLARS, nullable=True)
    four_eyes_above_usd: float = pa.Field(ge=0, le=MOST_DOLLARS, nullable=True)
    proposal_ttl_hours: float = pa.Field(ge=0.01, le=MOST_HOURS, nullable=True)

    class Config:
        """Key."""

        unique = ["policy_id"]


class Households(pa.DataFrameModel):
    """Households whose accounts are rebalanced together, to one model under one policy."""

    household_id: str = identifier()
    model_id: str = identifier()
    policy_id: str = identifier()

    class Config:
        """Key."""

        unique = ["household_id"]


class LocationPreferences(pa.DataFrameModel):
    """What holding a class in accounts of a tax status costs, in basis points of its value; what is not listed costs nothing."""

    model_id: str = identifier()
    asset_class: str = label()
    tax_status: str = pa.Field(isin=list(TaxStatus))
    cost_bps: float = pa.Field(ge=0, lt=10_000)

    class Config:
        """Key."""

        unique = ["model_id", "asset_class", "tax_status"]


class AccountTotals(pa.DataFrameModel):
    """What the custodian says an account comes to, to check its rows against: either or both; null: not said."""

    account_id: str = identifier()
    value_usd: Exact = pa.Field(nullable=True)
    lot_count: int = pa.Field(ge=0, nullable=True)

    class Config:
        """Key."""

        unique = ["account_id"]


class CorporateActions(pa.DataFrameModel):
    """What a company did to its shares, said once: from ``effective_date`` on ``ratio`` shares stand for one.

    They are shares of the same security (a split) or of ``new_security_id``; those of a spin-off come beside the one. ``ratio`` null: 1, or a merger
    that was paid in cash.
    """

    security_id: str = identifier()
    effective_date: date
    action: str = pa.Field(isin=list(ActionKind))
    ratio: float = pa.Field(gt=0, nullable=True)
    new_security_id: str = identifier(nullable=True)

    class Config:
        """Key."""

        unique = ["security_id", "effective_date"]


class Investors(pa.DataFrameModel):
    """What is known of an investor: what they are willing to risk, can bear to lose, and want by when. A broken row stops no trade.

    The accounts of a household are those of its investor. ``is_tenth_risked`` and the like: whether they would take a job that may, with even
    chances, double their income for life or cut it by so much; or ``risk_score``, 0 to 100. ``horizon_years`` run from ``profiled_date`` on.
    ``yearly_flow_usd`` is paid in, or drawn where it is below 0; ``income_beta`` says how much of what is still to be saved moves as the market does,
    0 as a bond; null: 1.
    """

    investor_id: str = identifier()
    household_id: str = identifier(nullable=True)
    is_tenth_risked: bool = pa.Field(nullable=True)
    is_fifth_risked: bool = pa.Field(nullable=True)
    is_third_risked: bool = pa.Field(nullable=True)
    is_half_risked: bool = pa.Field(nullable=True)
    risk_score: float = pa.Field(ge=0, le=100, nullable=True)
    horizon_years: float = pa.Field(ge=0, le=MOST_YEARS, nullable=True)
    yearly_income_usd: Exact = pa.Field(ge=0, nullable=True)
    yearly_flow_usd: Exact = pa.Field(nullable=True)
    wealth_usd: Exact = pa.Field(ge=0, nullable=True)
    income_beta: float = pa.Field(ge=0, le=1, nullable=True)
    goal_usd: Exact = pa.Field(gt=0, nullable=True)
    goal_date: date = pa.Field(nullable=True)
    glide_path_id: str = identifier(nullable=True)
    profiled_date: date

    class Config:
        """Key."""

        unique = ["investor_id"]


class LadderRungs(pa.DataFrameModel):
    """The firm's models from the safest to the boldest, a rung each; used whole or not at all. Returns and volatilities are a year's."""

    model_id: str = identifier()
    rung: int = pa.Field(ge=0, le=10_000)
    expected_return: float = pa.Field(ge=-1, le=1)
    volatility: float = pa.Field(ge=0, le=2)
    source_date: date

    class Config:
        """Key."""

        unique = ["model_id"]


class GlidePaths(pa.DataFrameModel):
    """How the risky share, or the rung, falls with the years to the goal: one of the two, the same in all rows of a path.

    A risky share is one of the boldest rung. Between rows it is read on a straight line; rungs are those of the row with the most years that are not more.
    """

    glide_path_id: str = identifier()
    years_to_goal: float = pa.Field(ge=0, le=MOST_YEARS)
    risky_share: float = pa.Field(ge=0, le=1, nullable=True)
    rung: int = pa.Field(ge=0, le=10_000, nullable=True)

    class Config:
        """Key."""

        unique = ["glide_path_id", "years_to_goal"]


class Flows(pa.DataFrameModel):
    """What went into an account, above 0, or out of it, in cash and in kind: of the last 61 days at least. It explains cash that moved, and nothing trades on it.

    ``flow_date``: the first day whose cash, settled or pending, or whose lots have it. Dividends, interest and fees are no flows. Two flows of an
    account on one day come with different amounts, or as their sum: of rows that are the same nobody knows whether the money moved once or twice.
    """

    account_id: str = identifier()
    flow_date: date
    amount_usd: Exact

    class Config:
        """Key."""

        unique = ["account_id", "flow_date", "amount_usd"]


class Tilts(pa.DataFrameModel):
    """What an account wants otherwise than its model has it. ``delta_weight`` is added to the class's target; the other classes but cash make room in proportion.

    ``exclude``: securities, joined by a vertical bar, that the account is not to buy, as a restriction ``no_buy`` would have it: the next of the
    buy list stands in. A tilt that ends says so by a ``delta_weight`` of 0: one that is gone without a word has its account wait for a person.
    """

    account_id: str = identifier()
    asset_class: str = label()
    delta_weight: float = pa.Field(ge=-1, le=1)
    exclude: str = pa.Field(str_matches=IDENTIFIERS, nullable=True)

    class Config:
        """Key."""

        unique = ["account_id", "asset_class"]


class IndexWeights(pa.DataFrameModel):
    """Securities of an index and what share of it each is; used whole or not at all. They sum to 1 within a thousandth, are of one day and of one class.

    An index of another day than at most 100 days ago is not used: the accounts that hold it wait.
    """

    index_id: str = identifier()
    security_id: str = identifier()
    weight: float = pa.Field(gt=0, le=1)
    weight_date: date

    class Config:
        """Key."""

        unique = ["index_id", "security_id"]


class DirectIndexes(pa.DataFrameModel):
    """A class that an account holds as the securities of an index, each to its weight; ``index_id`` null: not any more.

    ``tracking_budget``: how much of the class's target, a fraction, sales may leave unheld of what the index asks for; null: no limit. ``exclude``:
    securities, joined by a vertical bar, that the account does not hold; ``min_weight``: nor those that are less than this share of the index.
    What is left out is spread over the others in proportion. A row that is gone without a word has its account wait for a person.
    """

    account_id: str = identifier()
    asset_class: str = label()
    index_id: str = identifier(nullable=True)
    tracking_budget: float = pa.Field(ge=0, le=1, nullable=True)
    min_weight: float = pa.Field(ge=0, le=1, nullable=True)
    exclude: str = pa.Field(str_matches=IDENTIFIERS, nullable=True)

    class Config:
        """Key."""

        unique = ["account_id", "asset_class"]


CONTRACTS: Final[dict[str, type[pa.DataFrameModel]]] = {
    "accounts": Accounts,
    "lots": Lots,
    "cash": Cash,
    "securities": Securities,
    "prices": Prices,
    "model_targets": ModelTargets,
    "policies": Policies,
    "buy_list": BuyList,
    "restrictions": Restrictions,
    "trades": Trades,
    "households": Households,
    "location_preferences": LocationPreferences,
    "account_totals": AccountTotals,
    "corporate_actions": CorporateActions,
    "investors": Investors,
    "ladder": LadderRungs,
    "glide_paths": GlidePaths,
    "flows": Flows,
    "tilts": Tilts,
    "index_weights": IndexWeights,
    "direct_indexes": DirectIndexes,
}
"""Every landing table, by name."""

OPTIONAL_TABLES: Final = frozenset(
    {
        *PROFILE_TABLES,
        "buy_list",
        "restrictions",
        "trades",
        "households",
        "location_preferences",
        "account_totals",
        "corporate_actions",
        "flows",
        "tilts",
        "index_weights",
        "direct_indexes",
    }
)
"""Tables that a source may leave out."""

MAY_BE_EMPTY: Final = OPTIONAL_TABLES | {"lots"}
"""Tables that may come without a row: accounts that hold only cash have no lots. Each account has its row of cash."""

OPTIONAL_COLUMNS: Final[dict[str, frozenset[str]]] = {
    table: frozenset(
        [
            *(name for name, column in contract.to_schema().columns.items() if column.nullable),
            *BLANK_IS_ZERO.get(table, ()),
        ]
    )
    for table, contract in CONTRACTS.items()
}
"""Columns that a source may leave out, because their cells may be blank."""
