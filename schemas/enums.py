"""The closed lists of words that tables, policy and reasons are written in.

Behind ``#:`` stands what a word means, which the reference is made of; words that people are shown have a sentence where they are shown.
"""

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
    ACCOUNT_TOTALS = "account_totals"
    CORPORATE_ACTIONS = "corporate_actions"
    INVESTORS = "investors"
    LADDER = "ladder"
    GLIDE_PATHS = "glide_paths"
    FLOWS = "flows"
    TILTS = "tilts"
    INDEX_WEIGHTS = "index_weights"
    DIRECT_INDEXES = "direct_indexes"


class TaxStatus(StrEnum):
    """How the account's gains are taxed; only ``taxable`` pays on a sale."""

    TAXABLE = "taxable"  #: gains are taxed
    TAX_DEFERRED = "tax_deferred"  #: an IRA or a plan: a sale costs no tax
    TAX_EXEMPT = "tax_exempt"  #: no tax at all


class AccountStatus(StrEnum):
    """``frozen`` and ``closed`` accounts are never traded."""

    ACTIVE = "active"  #: may be traded
    FROZEN = "frozen"  #: counts, and is left as it is
    CLOSED = "closed"  #: left as it is


class SecurityType(StrEnum):
    """What kind of instrument a security is."""

    ETF = "etf"  #: exchange-traded fund
    EQUITY = "equity"  #: share
    MUTUAL_FUND = "mutual_fund"  #: fund bought and sold at its net asset value
    BOND = "bond"  #: bond
    OTHER = "other"  #: anything else


class OrderUnit(StrEnum):
    """What purchases of a security are ordered in; what is sold is always ordered in shares, for a sell closes lots."""

    SHARES = "shares"  #: a quantity
    USD = "usd"  #: dollars, as funds are bought at their next net asset value


class ActionKind(StrEnum):
    """What a company did to its shares."""

    SPLIT = "split"  #: ``ratio`` shares stand for one; below 1 it is a reverse split
    IDENTIFIER_CHANGE = "identifier_change"  #: known by another identifier since, at ``ratio`` for 1 where one is given
    MERGER = "merger"  #: ``ratio`` shares of another security for one; without both it was paid in cash
    SPIN_OFF = "spin_off"  #: ``ratio`` shares of another security for one, beside it


class ProfileFinding(StrEnum):
    """Why an investor's profile leads to no model before a person has looked at it."""

    NOTHING_ANSWERED = "nothing_answered"  #: neither a gamble nor a risk score
    ANSWERS_CONTRADICT = "answers_contradict"  #: a larger cut is risked and a smaller one is not
    SCORE_CONTRADICTS = "score_contradicts"  #: the risk score is far from what the gambles say
    FLOW_ABOVE_INCOME = "flow_above_income"  #: more is to be paid in than is earned
    WEALTH_BELOW_ACCOUNTS = "wealth_below_accounts"  #: all wealth is less than the accounts hold
    NO_HORIZON = "no_horizon"  #: neither a horizon nor the day of a goal
    HORIZON_PASSED = "horizon_passed"  #: the horizon, or the day of the goal, is over
    PROFILE_STALE = "profile_stale"  #: nobody has asked for longer than three years
    PATH_UNKNOWN = "path_unknown"  #: names a glide path that is not there, or is broken
    TWO_INVESTORS = "two_investors"  #: more than one profile for a household
    PROFILE_BROKEN = "profile_broken"  #: a row of the household's profile was set aside
    MODEL_OFF_LADDER = "model_off_ladder"  #: the account's model is on no rung


class ChangeSubject(StrEnum):
    """Whose model a change is about."""

    ACCOUNT = "account"  #: an account
    HOUSEHOLD = "household"  #: a household that is managed together, with all its accounts


class ChangeState(StrEnum):
    """Where a model change stands."""

    PENDING_REVIEW = "pending_review"  #: waits for a person
    APPROVED = "approved"  #: in force from the next night on, until the source says another model
    REJECTED = "rejected"  #: by a person; the same is not asked for again until the profile changes
    WITHDRAWN = "withdrawn"  #: approved, and taken back by a person
    SUPERSEDED = "superseded"  #: no later night asked for it, or another change of the same account was approved
    TAKEN_OVER = "taken_over"  #: the source says another model than it was from


class RestrictionRule(StrEnum):
    """What a restriction forbids."""

    NO_BUY = "no_buy"  #: never bought
    NO_SELL = "no_sell"  #: never sold
    NO_TRADE = "no_trade"  #: neither
    NO_NEW = "no_new"  #: bought only where the account holds it already
    HOLD_RANGE = "hold_range"  #: kept at least, and at most, in shares or dollars


class Side(StrEnum):
    """Direction of an order or a past trade."""

    BUY = "buy"  #: buys
    SELL = "sell"  #: sells


class Term(StrEnum):
    """Holding period of a lot for tax: ``long`` from one calendar year after the day after acquisition."""

    SHORT = "short"  #: held for a year or less
    LONG = "long"  #: held for longer


class BandRule(StrEnum):
    """Which band counts when a class has both."""

    LESSER = "lesser"  #: the lesser of the two
    GREATER = "greater"  #: the greater of the two


class Calendar(StrEnum):
    """How often an account is due whatever its drift: on the first trading day of the period."""

    NONE = "none"  #: never
    DAILY = "daily"  #: every trading day
    WEEKLY = "weekly"  #: first trading day of the week
    MONTHLY = "monthly"  #: first trading day of the month
    QUARTERLY = "quarterly"  #: first trading day of the quarter
    ANNUAL = "annual"  #: first trading day of the year


class Unmodelled(StrEnum):
    """What to do with a holding whose class the model has no target for."""

    SELL = "sell"  #: sold
    HOLD = "hold"  #: kept


class ShortTermGains(StrEnum):
    """Whether a lot at a short-term gain may be sold when no cash is owed."""

    ALLOW = "allow"  #: sold where it is worth its tax
    AVOID = "avoid"  #: sold only where cash must be raised


class TradeMode(StrEnum):
    """How much of a rebalance an account makes."""

    FULL = "full"  #: buys and sells
    BUY_ONLY = "buy_only"  #: invests cash, sells nothing
    SELL_ONLY = "sell_only"  #: raises cash, buys nothing
    CASH_FLOW_FIRST = "cash_flow_first"  #: only one of these where it brings every class into its band, else both


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
    UNIT_TOO_DEAR = "unit_too_dear"
    TRACKING_BUDGET = "tracking_budget"
    UNMODELLED_HELD = "unmodelled_held"
    NO_CASH_TO_BUY = "no_cash_to_buy"
    AWAITING_FILE = "awaiting_file"
    FILE_REFUSED = "file_refused"
    ORDERS_OPEN = "orders_open"
    ORDERS_OVERDUE = "orders_overdue"
    CANNOT_RAISE_CASH = "cannot_raise_cash"
    NO_TARGET = "no_target"
    NO_INVESTABLE_VALUE = "no_investable_value"


class Route(StrEnum):
    """Where a proposal goes: to a person, or straight to approval by policy."""

    REVIEW = "review"  #: waits for a person
    AUTO = "auto"  #: approved by policy


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
    TILT_CUT = "tilt_cut"
    INDEX_NOT_HELD = "index_not_held"


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

    NIGHTLY = "nightly"  #: the night's run, on schedule or by hand
    THRESHOLD = "threshold"  #: accounts that a look found newly out of band
    MANUAL = "manual"  #: accounts that a person named
    REPLAY = "replay"  #: a past run again, from its stored inputs


class RunState(StrEnum):
    """Life of a run. Nothing of one that is held leaves until a person lets it go on."""

    RUNNING = "running"  #: at work, or broken off
    HELD = "held"  #: a guard stopped it
    DONE = "done"  #: its proposals are routed and it adds up
    FAILED = "failed"  #: it ended with an error


class Guard(StrEnum):
    """What can hold a run until a person releases it."""

    QUARANTINE = "quarantine"  #: too many accounts quarantined
    STALE_PRICES = "stale_prices"  #: the newest price, or that of a security held, is too old
    PRICE_MOVE = "price_move"  #: a security held moved too far since the last night
    MISSING_ACCOUNTS = "missing_accounts"  #: fewer accounts than the last night
    SMALL_SNAPSHOT = "small_snapshot"  #: fewer lots than the last night
    LOST_ROWS = "lost_rows"  #: restrictions, households, choices or preferences of the last night are gone
    TURNOVER = "turnover"  #: the run would trade too much
    ORDER_COUNT = "order_count"  #: the run would make too many orders
    CONSERVATION = "conservation"  #: something that must add up does not
    HALT = "halt"  #: somebody threw the kill switch


class Role(StrEnum):
    """What a named user may do. ``admin`` may do all, within the maker and checker rules."""

    VIEWER = "viewer"  #: sees everything, comments
    REVIEWER = "reviewer"  #: approves, rejects, holds, changes orders, lets quarantined rows through
    RELEASER = "releaser"  #: exports, lets a held run go on, lifts a halt
    ADMIN = "admin"  #: all of it, and users


class Step(StrEnum):
    """The steps of a night, in order."""

    PULL = "pull"  #: take the landing tables into the lake
    VALIDATE = "validate"  #: check them; set rows and accounts aside
    MEASURE = "measure"  #: weights, drift, bands, triggers
    PROPOSE = "propose"  #: orders, lots and reasons of each account
    ROUTE = "route"  #: to a person, or approved by policy
    PUBLISH = "publish"  #: check that the night adds up and close the run
    PERFORMANCE = "performance"  #: what accounts have earned, and why that differs from their model


class Scope(StrEnum):
    """What a token may be used for; the roles of its owner still apply."""

    RUNS_READ = "runs:read"  #: runs and what they pulled, jobs, the halt
    RUNS_WRITE = "runs:write"  #: start and resume nights; halt, and lift the halt
    PROPOSALS_READ = "proposals:read"  #: proposals, orders, lots; accounts and households
    DECISIONS_WRITE = "decisions:write"  #: approve, reject and hold; settle orders that left
    EXPORTS_READ = "exports:read"  #: exports and their deliveries
    FILLS_READ = "fills:read"  #: orders that left, breaks, executions set aside


class ProfileFormat(StrEnum):
    """How a profile writes an export's orders, beside the files that every export has."""

    FIX44 = "fix44"  #: FIX 4.4 messages
    FIX50SP2 = "fix50sp2"  #: FIX 5.0 SP2 messages, with the lots of a sell
    IBKR_BASKET = "ibkr_basket"  #: basket of Interactive Brokers' Trader Workstation
    IBKR_ALLOCATION = "ibkr_allocation"  #: an order a block and its split, for Interactive Brokers' advisors
    ALPACA = "alpaca"  #: bodies of Alpaca's requests, a line each
    MAPPED = "mapped"  #: delimited text as a mapping says
    JSONL = "jsonl"  #: every field, a line of JSON an order


class ExecutionKind(StrEnum):
    """What a message about an order says."""

    ACKNOWLEDGED = "acknowledged"  #: the order has arrived
    REJECTED = "rejected"  #: it was turned down
    CANCELLED = "cancelled"  #: what is not filled will not be
    FILL = "fill"  #: some of it was bought or sold
    BUST = "bust"  #: a fill never was
    CORRECT = "correct"  #: a fill was otherwise


class OrderState(StrEnum):
    """What became of an order that left."""

    EXPORTED = "exported"  #: nothing was heard of it yet
    ACKNOWLEDGED = "acknowledged"  #: it has arrived
    PARTLY_FILLED = "partly_filled"  #: some of it is filled
    FILLED = "filled"  #: all of it is
    FAILED = "failed"  #: nothing was filled and nothing will be


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


class ReturnMethod(StrEnum):
    """How a night's return was found."""

    FIRST = "first"  #: the account's first night: nothing to compare with
    LINKED = "linked"  #: from the value of the night before to the value before tonight's flow
    MODIFIED_DIETZ = "modified_dietz"  #: nights were missed and a flow lies between: its value is missing, and it counts by its time in the account
    NO_VALUE = "no_value"  #: nothing was there to earn a return


class FlowSource(StrEnum):
    """Where a night's flow is known from."""

    NONE = "none"  #: the account's first night has none
    REPORTED = "reported"  #: the landing table flows
    INFERRED = "inferred"  #: what neither prices nor trades explain
