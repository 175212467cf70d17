"""The lake's public tables: column names, types and, behind ``#:``, grains and meanings, which the reference is made of.

``schemas.stored`` adds the tables that only steps read.

Every table carries ``run_id``, ``as_of_date`` and ``shard``; the last is how a step replaces what it wrote and is hidden
from the public views.
"""

from typing import Final

import polars as pl

from schemas.units import EXACT

USD: Final = pl.Decimal(38, 6)
"""Sums of money; six digits after the point like the facts they are made of."""

RUN_COLUMNS: Final[dict[str, pl.DataType]] = {
    "run_id": pl.String(),  #: the run
    "as_of_date": pl.Date(),  #: the date that the facts describe
    "shard": pl.Int32(),  #: how a step replaces what it wrote; not in the public views
}

_SOURCE_ROW: Final[dict[str, pl.DataType]] = {
    "quarantine_id": pl.String(),  #: names the row by what stands in it and what was found wrong with it
    "table_name": pl.String(),  #: the landing table
    "file_name": pl.String(),  #: the file it came in
    "row_number": pl.Int64(),  #: the row in its file; 1 is the first row of data
    "landed_row": pl.Int64(),  #: the row in the landed table
    "row": pl.String(),  #: the row as it was read: JSON of text and nulls
    "broken_rules": pl.String(),  #: every rule it broke, sorted, joined by a bar
    "account_id": pl.String(),  #: the account it names; `accounts-row-<n>` for an account without a name, null where its table names none
    "message": pl.String(),  #: for each rule what was found and what was needed
}

PUBLIC: Final[dict[str, dict[str, pl.DataType]]] = {
    "drift": {  #: an account and asset class; accounts of a household that is managed together have no band of their own
        "account_id": pl.String(),  #: the account
        "asset_class": pl.String(),  #: the asset class; `cash` is one
        "value_usd": USD,  #: market value of the class
        "weight": pl.Float64(),  #: value over NAV; null where NAV is not positive
        "target_weight": pl.Float64(),  #: what the model asks for; 0 for a class it does not have
        "drift": pl.Float64(),  #: weight - target_weight; positive is overweight
        "band": pl.Float64(),  #: how far drift may go; null: no band
        "is_out_of_band": pl.Boolean(),  #: whether drift is beyond the band; touching it is inside
    },
    "household_drift": {  #: a household that is managed together and an asset class, over the value of all its accounts
        "household_id": pl.String(),  #: the household
        "asset_class": pl.String(),  #: the asset class; `cash` is one
        "value_usd": USD,  #: market value of the class
        "weight": pl.Float64(),  #: value over NAV; null where NAV is not positive
        "target_weight": pl.Float64(),  #: what the model asks for; 0 for a class it does not have
        "drift": pl.Float64(),  #: weight - target_weight; positive is overweight
        "band": pl.Float64(),  #: how far drift may go; null: no band
        "is_out_of_band": pl.Boolean(),  #: whether drift is beyond the band; touching it is inside
        "nav_usd": USD,  #: what the model governs, of all accounts
    },
    "tilted_targets": {  #: an account with a tilt, and an asset class of its model or of a tilt
        "account_id": pl.String(),  #: the account
        "asset_class": pl.String(),  #: the asset class; `cash` is one
        "model_id": pl.String(),  #: the model that is tilted
        "model_weight": pl.Float64(),  #: what that model asks for; 0 for a class it does not have
        "delta_weight": pl.Float64(),  #: what the tilt adds to it, as asked; null: the class is not tilted itself
        "target_weight": pl.Float64(),  #: what is asked for tonight; of an account that can be tilted they sum to 1
        "note": pl.String(),  #: why a tilt is not done as asked; null: it is
    },
    "index_baskets": {  #: an account and an asset class that it wants to hold as an index
        "account_id": pl.String(),  #: the account
        "asset_class": pl.String(),  #: the asset class; its members are the classes `<class>::<security>`
        "index_id": pl.String(),  #: the index
        "target_weight": pl.Float64(),  #: what all members together are asked for tonight
        "member_count": pl.Int64(),  #: how many securities the index has
        "left_out_count": pl.Int64(),  #: how many of them the account leaves out
        "left_out_weight": pl.Float64(),  #: what share of the index these are: the active share that leaving them out costs
        "tracking_budget": pl.Float64(),  #: what share of the target sales may leave unheld; null: no limit
        "note": pl.String(),  #: why no index is held; null: it is
    },
    "account_drift": {  #: an account
        "account_id": pl.String(),  #: the account
        "nav_usd": USD,  #: what the model governs: lots + settled + pending cash - reserve
        "one_way_drift": pl.Float64(),  #: half the sum of absolute drifts
        "max_abs_drift": pl.Float64(),  #: the largest absolute drift of a class
        "triggers": pl.String(),  #: why the account is looked at, joined by a bar; empty: it is not
    },
    "account_outcomes": {  #: an account: every account pulled has exactly one row
        "account_id": pl.String(),  #: the account
        "outcome": pl.String(),  #: what the night did with it
        "reason": pl.String(),  #: why; reasons joined by a bar, triggers where it is proposed
    },
    "proposals": {  #: an account with trades: all that is suggested for it
        "proposal_id": pl.String(),  #: the proposal: a hash of run and account
        "account_id": pl.String(),  #: the account
        "triggers": pl.String(),  #: why the account was looked at, joined by a bar
        "nav_usd": USD,  #: what the model governs: lots + settled + pending cash - reserve
        "one_way_drift_before": pl.Float64(),  #: half the sum of absolute drifts before the trades
        "one_way_drift_after": pl.Float64(),  #: and after them, costs paid
        "turnover": pl.Float64(),  #: half of buys and sells over NAV
        "est_cost_usd": USD,  #: spreads of all orders
        "est_tax_usd": USD,  #: what the trades add to the year's tax; negative where they save some
        "realized_short_gain_usd": USD,  #: net short-term gain of the sells; losses are negative
        "realized_long_gain_usd": USD,  #: net long-term gain of the sells; losses are negative
        "objective_usd": pl.Float64(),  #: what is minimised, at these whole-unit trades; null as the bound is
        "lower_bound_usd": pl.Float64(),  #: no trades under the same rules have a lower objective; null where a person left out what a rule sells
        "gap_bps": pl.Float64(),  #: objective less bound over NAV: how much better any other trades could be
        "shadow_price": pl.Float64(),  #: the account's price of cash: what one more dollar of it would be worth
        "tax_regime": pl.String(),  #: how one more dollar of gain would be taxed after the sells
        "marginal_short_rate": pl.Float64(),  #: what one more dollar of short-term gain would cost
        "marginal_long_rate": pl.Float64(),  #: what one more dollar of long-term gain would cost
        "cash_before_usd": USD,  #: cash beyond the reserve before the trades; negative is owed
        "cash_after_usd": USD,  #: and after them, costs paid
        "order_count": pl.Int64(),  #: orders of the proposal
        "gross_value_usd": USD,  #: buys + sells at reference prices
        "route": pl.String(),  #: to a person, or approved by policy
        "route_reasons": pl.String(),  #: why a person, joined by a bar; empty: policy approves
        "look_reasons": pl.String(),  #: why to look at it sooner than at others, joined by a bar
        "priority": pl.Int64(),  #: points of those reasons, and 5 for each power of ten of dollars traded
        "content_hash": pl.String(),  #: SHA-256 of the orders: what a decision is about
        "custodian": pl.String(),  #: who holds the account
        "model_hash": pl.String(),  #: the targets it was made for, hashed
        "approvals_needed": pl.Int64(),  #: how many people have to approve
        "ttl_hours": pl.Float64(),  #: how long it may wait to be decided and exported
        "household_id": pl.String(),  #: the household whose proposals are decided and leave together with it; null: it is alone
    },
    "orders": {  #: an account, security and side
        "order_id": pl.String(),  #: the order: a hash of run, account, security and side
        "proposal_id": pl.String(),  #: the proposal: a hash of run and account
        "account_id": pl.String(),  #: the account
        "side": pl.String(),  #: buy or sell
        "security_id": pl.String(),  #: the security
        "symbol": pl.String(),  #: its ticker
        "quantity": EXACT,  #: how much is traded
        "price_usd": EXACT,  #: reference price
        "price_factor": EXACT,  #: what quantity x price is multiplied by to make a value
        "value_usd": USD,  #: quantity x reference price x price factor
        "amount_usd": USD,  #: dollars that it is ordered in, whole cents: the quantity is an estimate; null: it is ordered in shares
        "est_cost_usd": USD,  #: half the spread on its value
        "est_tax_usd": USD,  #: its part of the proposal's tax
        "reason": pl.String(),  #: why, as a sentence
        "marginal_benefit_bps": pl.Float64(),  #: what a dollar of it is worth on average, beside all other orders of the account
        "marginal_cost_bps": pl.Float64(),  #: what a dollar of it costs on average: spread, tax, cash, and what prices of limits put on it
    },
    "lot_relief": {  #: a sell order and a tax lot that it closes, in whole or in part
        "order_id": pl.String(),  #: the order: a hash of run, account, security and side
        "account_id": pl.String(),  #: the account
        "security_id": pl.String(),  #: the security
        "lot_id": pl.String(),  #: the lot within the account
        "quantity": EXACT,  #: how much of it is sold
        "unit_cost_usd": EXACT,  #: what one unit cost, in the terms of the price; null: unknown
        "acquired_date": pl.Date(),  #: when it was bought; null: unknown
        "term": pl.String(),  #: short or long, on the trade date; null: unknown
        "gain_usd": USD,  #: proceeds less cost, losses negative; null: the cost is unknown
    },
    "class_reasons": {  #: an account and asset class that is out of band and was not, or not fully, traded
        "account_id": pl.String(),  #: the account
        "asset_class": pl.String(),  #: the asset class; `cash` is one
        "code": pl.String(),  #: the reason
        "drift_before": pl.Float64(),  #: drift before the trades
        "drift_after": pl.Float64(),  #: and after them
        "detail": pl.String(),  #: the numbers behind it, as text
    },
    "anomalies": {  #: an account that was accepted on an earlier night
        "account_id": pl.String(),  #: the account
        "residual_bps": pl.Float64(),  #: change of value that prices, trades and flows do not explain, over the value before
        "score": pl.Float64(),  #: distance from the median of its last residuals in units of their spread; beyond 3.5 either way is unusual; null with fewer than 5 nights
        "nights": pl.Int64(),  #: how many residuals the score stands on
        "recent_bps": pl.String(),  #: its last residuals, the newest last, joined by a bar
    },
    "performance": {  #: an account and night: tonight's, and those after a night that was run again
        "account_id": pl.String(),  #: the account
        "model_id": pl.String(),  #: the model that it is compared with from tonight on
        "household_id": pl.String(),  #: its household; null: it has none
        "night_date": pl.Date(),  #: the night that is described; the newest run that has it counts
        "night_run_id": pl.String(),  #: the run that the night's facts are from
        "since_date": pl.Date(),  #: the night that the night's return begins with; null: there is none before
        "since_run_id": pl.String(),  #: its run, whose row names the one before: all nights of a figure can be read off
        "inception_date": pl.Date(),  #: the first of these nights
        "night_count": pl.Int64(),  #: how many they are
        "nav_usd": USD,  #: what the model governs: lots + settled + pending cash - reserve
        "value_usd": USD,  #: all that it holds: lots, settled and pending cash, its reserve too; returns are of this
        "flow_usd": USD,  #: what went in since, above 0, or out; in cash and in kind
        "flow_source": pl.String(),  #: where that is known from
        "method": pl.String(),  #: how the night's return was found
        "daily_return": pl.Float64(),  #: time-weighted return of the night, before tax; null: it has none
        "inception_return": pl.Float64(),  #: the same, cumulated since the first night; not a year's
        "year_return": pl.Float64(),  #: cumulated since the year began
        "quarter_return": pl.Float64(),  #: cumulated since the quarter began
        "month_return": pl.Float64(),  #: cumulated since the month began
        "money_weighted_return": pl.Float64(),  #: internal rate of return since the first night, cumulated; null: no rate solves it
        "model_return": pl.Float64(),  #: return of the night of the model, at its target weights and with the same flows
        "model_inception_return": pl.Float64(),  #: the same, cumulated since the first night
        "tracking_difference": pl.Float64(),  #: return of the night less tax accrued, less the model's
        "tracking_error": pl.Float64(),  #: standard deviation of that, a year's; null: fewer than two returns
        "volatility": pl.Float64(),  #: standard deviation of the night's return, a year's
        "sharpe": pl.Float64(),  #: mean return beyond the risk-free rate over its standard deviation, a year's
        "sharpe_error": pl.Float64(),  #: standard error of that ratio (Lo)
        "drawdown": pl.Float64(),  #: how far it is below its highest, compounded; 0 or negative
        "max_drawdown": pl.Float64(),  #: the deepest since the first night
        "realized_short_usd": USD,  #: short-term gains realized since the first night, losses negative
        "realized_long_usd": USD,  #: long-term gains realized since the first night, losses negative
        "tax_usd": USD,  #: tax that the year's gains of the night accrued; negative where it was given back
        "after_tax_return": pl.Float64(),  #: cumulated since the first night, tax on realized gains taken off (pre-liquidation)
        "liquidated_return": pl.Float64(),  #: the same, tax on a sale of everything tonight taken off too (post-liquidation)
    },
    "attribution": {  #: an account, night and asset class: what of the night's tracking difference is of which cause; sums to it
        "account_id": pl.String(),  #: the account
        "night_date": pl.Date(),  #: the night that is described; the newest run that has it counts
        "asset_class": pl.String(),  #: the asset class; `cash` is one
        "value_usd": USD,  #: value of the class tonight
        "weight": pl.Float64(),  #: over all that the account holds
        "target_weight": pl.Float64(),  #: what the model asks for; 0 for a class it does not have
        "allocation": pl.Float64(),  #: drift: more or less of the class before the night than the model has
        "trading_cost": pl.Float64(),  #: half the spread on what was traded
        "tax": pl.Float64(),  #: tax accrued
        "residual": pl.Float64(),  #: the rest: other securities than the model's first choice, dividends, fees, prices of trades
        "tracking_difference": pl.Float64(),  #: the sum of these four; null on an account's first night
    },
    "twins": {  #: an account and night: what it is worth beside its twin under the reference policy, in dollars since the twin began; the account's less the twin's
        "account_id": pl.String(),  #: the account
        "night_date": pl.Date(),  #: the night that is described; the newest run that has it counts
        "twin_since_date": pl.Date(),  #: the night on which the twin began as the account stood
        "twin_policy": pl.String(),  #: the reference: `never`, `calendar` or a policy
        "value_usd": USD,  #: what the twin is worth: lots and cash
        "order_count": pl.Int64(),  #: orders of the twin on the night
        "tax_alpha_usd": USD,  #: tax that the twin's gains accrued less that of the account's: what the account saved so far
        "cost_difference_usd": USD,  #: half spreads that the twin paid less those that the account paid
        "market_difference_usd": USD,  #: what the account's holdings did better than the twin's
        "pre_liquidation_usd": USD,  #: the sum of these three: what the account is worth more, tax taken off
        "tax_deferred_usd": USD,  #: tax on a sale of everything, the account's less the twin's: what of the saving is only put off
        "post_liquidation_usd": USD,  #: pre-liquidation less that
        "drift_difference": pl.Float64(),  #: one-way drift of the account less that of the twin
    },
    "frontier": {  #: an account, scenario and tracking penalty, where the setting `is_frontier_written` asks for it
        "account_id": pl.String(),  #: the account
        "scenario": pl.String(),  #: whose parameters the trades were solved under
        "tracking_penalty": pl.Float64(),  #: the policy parameter of that name
        "trade_to": pl.Float64(),  #: the policy parameter of that name
        "one_way_drift_after": pl.Float64(),  #: one-way drift after the trades
        "est_tax_usd": USD,  #: what they add to the year's tax
        "est_cost_usd": USD,  #: their spreads
        "turnover": pl.Float64(),  #: half of buys and sells over NAV
        "order_count": pl.Int64(),  #: how many orders
        "objective_usd": pl.Float64(),  #: under the policy's own penalty, so that rows compare
        "is_chosen": pl.Boolean(),  #: whether it is what policy says
    },
    "model_changes": {  #: an account, or a household that is managed together, that should have another model by its investor's profile
        "content_hash": pl.String(),  #: SHA-256 of whose it is, both models and the profile: what a decision is about
        "subject_kind": pl.String(),  #: whose model it is: an account's, or a household's
        "subject_id": pl.String(),  #: the account, or the household
        "household_id": pl.String(),  #: the household
        "investor_id": pl.String(),  #: whose profile it is
        "account_count": pl.Int64(),  #: accounts that it moves
        "from_model_id": pl.String(),  #: the model that the source says
        "current_model_id": pl.String(),  #: the model of tonight; another where a change is in force already
        "to_model_id": pl.String(),  #: the model that it should have
        "current_rung": pl.Int64(),  #: the rung of the model of tonight
        "to_rung": pl.Int64(),  #: the rung of the model that it should have
        "reason": pl.String(),  #: why, as a sentence
        "nav_usd": USD,  #: what the model governs, of all its accounts
        "est_tax_usd": USD,  #: what the move would add to the year's tax tonight; negative where it saves some
        "est_cost_usd": USD,  #: spreads of its orders
        "gross_value_usd": USD,  #: its buys + sells
        "turnover": pl.Float64(),  #: half of them over NAV
        "order_count": pl.Int64(),  #: its orders
        "approvals_needed": pl.Int64(),  #: how many people have to approve
    },
    "profile_findings": {  #: what a person has to look at before a profile leads to a model
        "household_id": pl.String(),  #: the household
        "investor_id": pl.String(),  #: whose profile it is; null: of more than one, or of none that can be read
        "account_id": pl.String(),  #: the account; null: all of the household
        "finding": pl.String(),  #: what is to be looked at
    },
    "quarantine": _SOURCE_ROW,  #: a row of the source that broke a rule
    "released_rows": {  #: a row of the source that broke rules and that a person let through
        **_SOURCE_ROW,
        "released_by": pl.String(),  #: who let it through
        "release_note": pl.String(),  #: why
        "released_at": pl.String(),  #: when, UTC
    },
    "vanished_rows": {  #: a row about what may be traded that the last night had, and tonight's source lacks
        "table_name": pl.String(),  #: the landing table
        "account_id": pl.String(),  #: the account it names; null: every account, or none is named
        "row": pl.String(),  #: the row as it was: JSON of text and nulls, in tonight's identifiers
        "last_date": pl.Date(),  #: the night that had it
    },
}
"""Public tables, beyond the run columns."""
