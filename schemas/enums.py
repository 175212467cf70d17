"""The closed lists of words that tables, policy and reasons are written in."""

from enum import StrEnum


class LandingTable(StrEnum):
    """What a source delivers; ``schemas.landing`` has the contract of each."""

    ACCOUNTS = "accounts"
    LOTS = "lots"
    CASH = "cash"
    SECURITIES = "securities"
    PRICES = "prices"
    MODEL_TARGETS = "model_targets"
    POLICIES = "policies"
    BUY_LIST = "buy_list"
    RESTRICTIONS = "restrictions"
    TRADES = "trades"
    HOUSEHOLDS = "households"
    LOCATION_PREFERENCES = "location_preferences"


class TaxStatus(StrEnum):
    """How the account's gains are taxed; only ``taxable`` pays on a sale."""

    TAXABLE = "taxable"
    TAX_DEFERRED = "tax_deferred"
    TAX_EXEMPT = "tax_exempt"


class AccountStatus(StrEnum):
    """``frozen`` and ``closed`` accounts are never traded."""

    ACTIVE = "active"
    FROZEN = "frozen"
    CLOSED = "closed"


class SecurityType(StrEnum):
    """What kind of instrument a security is."""

    ETF = "etf"
    EQUITY = "equity"
    MUTUAL_FUND = "mutual_fund"
    BOND = "bond"
    OTHER = "other"


class RestrictionRule(StrEnum):
    """What a restriction forbids.

    ``no_new``: buy only what the account already holds. ``hold_range``: keep at least, and at most, so much of the security.
    """

    NO_BUY = "no_buy"
    NO_SELL = "no_sell"
    NO_TRADE = "no_trade"
    NO_NEW = "no_new"
    HOLD_RANGE = "hold_range"


class Side(StrEnum):
    """Direction of an order or a past trade."""

    BUY = "buy"
    SELL = "sell"


class Term(StrEnum):
    """Holding period of a lot for tax: ``long`` from one calendar year after the day after acquisition."""

    SHORT = "short"
    LONG = "long"


class BandRule(StrEnum):
    """Which band counts when a class has both."""

    LESSER = "lesser"
    GREATER = "greater"


class Calendar(StrEnum):
    """How often an account is due whatever its drift: on the first trading day of the period."""

    NONE = "none"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    ANNUAL = "annual"


class Unmodelled(StrEnum):
    """What to do with a holding whose class the model has no target for."""

    SELL = "sell"
    HOLD = "hold"


class ShortTermGains(StrEnum):
    """Whether a lot at a short-term gain may be sold when no cash is owed."""

    ALLOW = "allow"
    AVOID = "avoid"


class TradeMode(StrEnum):
    """How much of a rebalance an account makes.

    ``buy_only``: invest cash. ``sell_only``: raise cash. ``cash_flow_first``: only one of these where it brings every class
    into its band, else the full rebalance.
    """

    FULL = "full"
    BUY_ONLY = "buy_only"
    SELL_ONLY = "sell_only"
    CASH_FLOW_FIRST = "cash_flow_first"


class TaxRegime(StrEnum):
    """What one more dollar of gain would cost the account after its trades.

    ``taxed``: each term at its rate. ``short_offset``: net short losses offset long gains. ``long_offset``: net long losses
    offset short gains. ``untaxed``: losses exceed gains. ``edge``: the trades stop where one of these becomes another.
    ``none``: the account pays no tax on a sale.
    """

    NONE = "none"
    TAXED = "taxed"
    SHORT_OFFSET = "short_offset"
    LONG_OFFSET = "long_offset"
    UNTAXED = "untaxed"
    EDGE = "edge"


class Trigger(StrEnum):
    """Why an account is looked at."""

    DRIFT = "drift"
    CASH = "cash"
    CALENDAR = "calendar"
    MODEL_CHANGE = "model_change"
    HARVEST = "harvest"
    MANUAL = "manual"


class Outcome(StrEnum):
    """What the night did with an account; every account pulled has exactly one."""

    IN_BAND = "in_band"
    PROPOSED = "proposed"
    BLOCKED = "blocked"
    QUARANTINED = "quarantined"
    FROZEN = "frozen"
    COOLING_DOWN = "cooling_down"
    NO_TRADE = "no_trade"
    ERROR = "error"


class Reason(StrEnum):
    """Why a class out of band was not (fully) traded, or an account not at all."""

    TAX_EXCEEDS_BENEFIT = "tax_exceeds_benefit"
    COST_EXCEEDS_BENEFIT = "cost_exceeds_benefit"
    RESTRICTED = "restricted"
    WASH_SALE_WINDOW = "wash_sale_window"
    BELOW_MINIMUM = "below_minimum"
    BELOW_IMPROVEMENT = "below_improvement"
    TURNOVER_LIMIT_REACHED = "turnover_limit_reached"
    ORDER_LIMIT_REACHED = "order_limit_reached"
    FEWER_TRADES = "fewer_trades"
    BUY_ONLY = "buy_only"
    SELL_ONLY = "sell_only"
    NOT_HELD = "not_held"
    HOLD_RANGE = "hold_range"
    LOT_FROZEN = "lot_frozen"
    MEMBER_NOT_TRADED = "member_not_traded"
    NO_PRICE = "no_price"
    NOT_TRADABLE = "not_tradable"
    MISSING_BASIS = "missing_basis"
    SHORT_TERM_GAIN_AVOIDED = "short_term_gain_avoided"
    GAIN_BUDGET_REACHED = "gain_budget_reached"
    NOTHING_TO_BUY = "nothing_to_buy"
    UNMODELLED_HELD = "unmodelled_held"
    NO_CASH_TO_BUY = "no_cash_to_buy"
    AWAITING_FILE = "awaiting_file"
    FILE_REFUSED = "file_refused"
    CANNOT_RAISE_CASH = "cannot_raise_cash"
    NO_TARGET = "no_target"
    NO_INVESTABLE_VALUE = "no_investable_value"


class Route(StrEnum):
    """Where a proposal goes: to a person, or straight to approval by policy."""

    REVIEW = "review"
    AUTO = "auto"


class LookReason(StrEnum):
    """Why a person should look at a proposal sooner than at others, whether or not policy asks for a person."""

    HOLD = "hold"
    SHORT_CASH = "short_cash"
    ANOMALY = "anomaly"
    LARGE_TAX = "large_tax"
    NEW_MODEL = "new_model"
    LARGE_TURNOVER = "large_turnover"
    LOW_IMPROVEMENT = "low_improvement"
    FIRST_TRADE = "first_trade"
    HARVEST = "harvest"


class ProposalState(StrEnum):
    """Life of a proposal; a proposal has one state."""

    PROPOSED = "proposed"
    PENDING_REVIEW = "pending_review"
    AUTO_APPROVED = "auto_approved"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    EXPORTED = "exported"
    ACKNOWLEDGED = "acknowledged"
    FILLED = "filled"
    PARTLY_FILLED = "partly_filled"
    FAILED = "failed"


class RunKind(StrEnum):
    """Who asked for the run."""

    NIGHTLY = "nightly"
    THRESHOLD = "threshold"
    MANUAL = "manual"
    REPLAY = "replay"


class RunState(StrEnum):
    """Life of a run. ``held``: a guard stopped it, nothing leaves until a person releases it."""

    RUNNING = "running"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"


class Guard(StrEnum):
    """What can hold a run until a person releases it."""

    QUARANTINE = "quarantine"
    STALE_PRICES = "stale_prices"
    PRICE_MOVE = "price_move"
    MISSING_ACCOUNTS = "missing_accounts"
    SMALL_SNAPSHOT = "small_snapshot"
    TURNOVER = "turnover"
    ORDER_COUNT = "order_count"
    CONSERVATION = "conservation"
    HALT = "halt"


class Role(StrEnum):
    """What a named user may do. ``admin`` may do all, within the maker and checker rules."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    RELEASER = "releaser"
    ADMIN = "admin"


class Step(StrEnum):
    """The steps of a night, in order."""

    PULL = "pull"
    VALIDATE = "validate"
    MEASURE = "measure"
    PROPOSE = "propose"
    ROUTE = "route"
    PUBLISH = "publish"


class Scope(StrEnum):
    """What a token may be used for; the roles of its owner still apply."""

    RUNS_READ = "runs:read"
    PROPOSALS_READ = "proposals:read"
    DECISIONS_WRITE = "decisions:write"
    EXPORTS_READ = "exports:read"
    FILLS_READ = "fills:read"


class ProfileFormat(StrEnum):
    """How a profile writes an export's orders, beside the files that every export has."""

    FIX44 = "fix44"
    FIX50SP2 = "fix50sp2"
    IBKR_BASKET = "ibkr_basket"
    IBKR_ALLOCATION = "ibkr_allocation"
    ALPACA = "alpaca"
    MAPPED = "mapped"
    JSONL = "jsonl"


class ExecutionKind(StrEnum):
    """What a message about an order says.

    ``cancelled``: what is not filled will not be. ``bust``: a fill never was. ``correct``: a fill was otherwise.
    """

    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    FILL = "fill"
    BUST = "bust"
    CORRECT = "correct"


class OrderState(StrEnum):
    """What became of an order that left. ``failed``: nothing was filled and nothing will be."""

    EXPORTED = "exported"
    ACKNOWLEDGED = "acknowledged"
    PARTLY_FILLED = "partly_filled"
    FILLED = "filled"
    FAILED = "failed"


class Break(StrEnum):
    """How what came back differs from what left.

    ``exception_void``: an order of a block did not get what a person fixed for it. ``unknown_fill``: a bust or a correction
    that leads to no fill.
    """

    OVERFILLED = "overfilled"
    WRONG_SIDE = "wrong_side"
    WRONG_SECURITY = "wrong_security"
    WRONG_ACCOUNT = "wrong_account"
    CONFLICTING = "conflicting"
    EXCEPTION_VOID = "exception_void"
    UNKNOWN_ORDER = "unknown_order"
    UNKNOWN_FILL = "unknown_fill"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    NOT_FILLED = "not_filled"
    NOT_ACKNOWLEDGED = "not_acknowledged"
    DUPLICATE = "duplicate"
    UNREAD = "unread"
