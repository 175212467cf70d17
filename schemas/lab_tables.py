"""The lake's public tables of the policy lab: what studies found. Nothing in them happened: ``is_hypothetical`` is true in every row.

In these ``run_id`` is the study, and ``as_of_date`` the last date of its market.
"""

from typing import Final

import polars as pl

LAB: Final[dict[str, dict[str, pl.DataType]]] = {
    "lab_policies": {  #: a policy of a study
        "study_id": pl.String(),  #: the study: hash of what it means
        "study_name": pl.String(),  #: what the study is called
        "is_hypothetical": pl.Boolean(),  #: always true: no account has had these results
        "policy_id": pl.String(),  #: the policy, by the parameters that differ within the study
        "is_reference": pl.Boolean(),  #: whether the others are compared with it
        "look": pl.String(),  #: how often an account is looked at
        "absolute_band": pl.Float64(),  #: band of every class, as a fraction of NAV; null: none
        "relative_band": pl.Float64(),  #: band of every class, as a fraction of its target; null: none
        "band_rule": pl.String(),  #: which band counts where there are both
        "trade_to": pl.Float64(),  #: where a rebalance lands: 0 = the target, 1 = the edge of the band
        "trade_mode": pl.String(),  #: buys and sells, or only one of them
        "min_trade_usd": pl.Float64(),  #: smallest order
        "min_trade_weight": pl.Float64(),  #: smallest order, as a share of NAV
        "improvement": pl.Float64(),  #: least share of a class's deviation that a trade must remove
        "max_turnover": pl.Float64(),  #: most that may be traded at once; null: no limit
        "max_orders": pl.Int64(),  #: most orders at once; null: no limit
        "tracking_penalty": pl.Float64(),  #: what distance from the model costs
        "cash_tolerance_usd": pl.Float64(),  #: cash that is not owed
        "fewest_trades_bps": pl.Float64(),  #: how much worse the objective may be for fewer orders
        "short_term_gains": pl.String(),  #: whether lots at a short-term gain are sold
        "max_realized_gain_usd": pl.Float64(),  #: most net gain at once; null: no limit
        "wash_sale_days": pl.Int64(),  #: days on either side of a loss sale in which a purchase disallows the loss
        "is_harvesting": pl.Boolean(),  #: whether lots are sold for the tax that their loss saves
        "harvest_min_loss_usd": pl.Float64(),  #: least loss of a lot that is harvested
        "harvest_min_loss_fraction": pl.Float64(),  #: the same, as a share of what the lot cost
        "auto_approve_max_turnover": pl.Float64(),  #: most that policy approves of an account at once, as turnover; null: always a person
        "auto_approve_max_tax_usd": pl.Float64(),  #: most tax that policy approves; null: always a person
        "four_eyes_above_usd": pl.Float64(),  #: what is traded above which two people decide; null: never
        "path_count": pl.Int64(),  #: paths that it was tried on
        "mean_weights": pl.String(),  #: `class=weight` of each class, at the end of a step, on average; joined by a bar
        "annual_return": pl.Float64(),  #: time-weighted return a year, as a fraction; mean of all paths
        "difference_annual_return": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_annual_return": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "annual_volatility": pl.Float64(),  #: standard deviation of returns a year; mean of all paths
        "difference_annual_volatility": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_annual_volatility": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "sharpe": pl.Float64(),  #: Sharpe's ratio a year, over bills; null where there is no risk; mean of all paths
        "difference_sharpe": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_sharpe": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "sharpe_error": pl.Float64(),  #: standard error of the ratio itself
        "deflated_sharpe": pl.Float64(),  #: probability that the true ratio is above what the best of the grid would show by luck
        "worst_drawdown": pl.Float64(),  #: deepest fall from a peak, a positive fraction of it; mean of all paths
        "difference_worst_drawdown": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_worst_drawdown": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "tracking_error": pl.Float64(),  #: standard deviation a year of the return less that of the targets held exactly and without cost; mean of all paths
        "difference_tracking_error": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_tracking_error": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "mean_drift": pl.Float64(),  #: one-way drift at the end of a step, before any trade, on average; mean of all paths
        "difference_mean_drift": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_mean_drift": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "rms_drift": pl.Float64(),  #: root of the mean square of it; mean of all paths
        "difference_rms_drift": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_rms_drift": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "events": pl.Float64(),  #: dates after the first on which anything traded; mean of all paths
        "difference_events": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_events": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "orders_per_year": pl.Float64(),  #: orders a year; mean of all paths
        "difference_orders_per_year": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_orders_per_year": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "turnover_per_year": pl.Float64(),  #: buys + sales over twice NAV, a year; mean of all paths
        "difference_turnover_per_year": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_turnover_per_year": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "cost_per_year_usd": pl.Float64(),  #: half spreads a year, those of the first purchase included; mean of all paths
        "difference_cost_per_year_usd": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_cost_per_year_usd": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "tax_per_year_usd": pl.Float64(),  #: tax a year; mean of all paths
        "difference_tax_per_year_usd": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_tax_per_year_usd": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "realized_short_per_year_usd": pl.Float64(),  #: short-term gain realized a year, net of losses, after the wash-sale rule; mean of all paths
        "difference_realized_short_per_year_usd": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_realized_short_per_year_usd": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "realized_long_per_year_usd": pl.Float64(),  #: long-term gain realized a year, net of losses, after the wash-sale rule; mean of all paths
        "difference_realized_long_per_year_usd": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_realized_long_per_year_usd": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "unused_losses_usd": pl.Float64(),  #: losses carried beyond the last date; mean of all paths
        "difference_unused_losses_usd": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_unused_losses_usd": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "harvested_per_year_usd": pl.Float64(),  #: losses harvested a year, after the wash-sale rule; mean of all paths
        "difference_harvested_per_year_usd": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_harvested_per_year_usd": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "deferred_tax_usd": pl.Float64(),  #: tax that a sale of everything on the last date would owe: what was only put off; mean of all paths
        "difference_deferred_tax_usd": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_deferred_tax_usd": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "proposals_auto_per_year": pl.Float64(),  #: proposals a year that policy approves; null where no minutes are stated; mean of all paths
        "difference_proposals_auto_per_year": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_proposals_auto_per_year": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "proposals_one_per_year": pl.Float64(),  #: proposals a year that one person decides; mean of all paths
        "difference_proposals_one_per_year": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_proposals_one_per_year": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "proposals_two_per_year": pl.Float64(),  #: proposals a year that two people decide; mean of all paths
        "difference_proposals_two_per_year": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_proposals_two_per_year": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "review_hours_per_year": pl.Float64(),  #: hours a year that reviewers spend on 1,000 such accounts, by the minutes stated; mean of all paths
        "difference_review_hours_per_year": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_review_hours_per_year": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "terminal_wealth_usd": pl.Float64(),  #: wealth on the last date; mean of all paths
        "difference_terminal_wealth_usd": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_terminal_wealth_usd": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "terminal_wealth_deviation_usd": pl.Float64(),  #: its standard deviation over paths; null for a single one
        "terminal_wealth_p05_usd": pl.Float64(),  #: what one path in twenty is below
        "terminal_wealth_p50_usd": pl.Float64(),  #: what half of the paths are below
        "terminal_wealth_p95_usd": pl.Float64(),  #: what one path in twenty is above
        "liquidated_wealth_usd": pl.Float64(),  #: wealth on the last date after everything is sold and its tax is paid; mean of all paths
        "difference_liquidated_wealth_usd": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_liquidated_wealth_usd": pl.Float64(),  #: standard error of that difference; null where it is unknown
        "liquidated_wealth_deviation_usd": pl.Float64(),  #: its standard deviation over paths; null for a single one
        "liquidated_wealth_p05_usd": pl.Float64(),  #: what one path in twenty is below
        "liquidated_wealth_p50_usd": pl.Float64(),  #: what half of the paths are below
        "liquidated_wealth_p95_usd": pl.Float64(),  #: what one path in twenty is above
        "mean_gap_bps": pl.Float64(),  #: certificate's gap of all solves, on average
        "max_gap_bps": pl.Float64(),  #: its greatest
        "group": pl.Int64(),  #: policies of one number cannot be told apart by the wealth they end with, 1 has the best; null for a single path
    },
    "lab_years": {  #: a policy of a study and a calendar year
        "study_id": pl.String(),  #: the study: hash of what it means
        "is_hypothetical": pl.Boolean(),  #: always true: no account has had these results
        "policy_id": pl.String(),  #: the policy, by the parameters that differ within the study
        "year": pl.Int64(),  #: the year
        "year_return": pl.Float64(),  #: time-weighted return within it; mean of all paths
        "difference_year_return": pl.Float64(),  #: how much more than the reference's on the same paths, on average
        "error_year_return": pl.Float64(),  #: standard error of that difference; null for a single path
        "rms_drift": pl.Float64(),  #: root of the mean square of one-way drift at the end of a step
        "turnover": pl.Float64(),  #: buys + sales over twice NAV within the year
        "tax_usd": pl.Float64(),  #: tax within the year
    },
    "lab_paths": {  #: a policy of a study and a path, of the first paths as many as are kept
        "study_id": pl.String(),  #: the study: hash of what it means
        "is_hypothetical": pl.Boolean(),  #: always true: no account has had these results
        "policy_id": pl.String(),  #: the policy, by the parameters that differ within the study
        "path_number": pl.Int64(),  #: the path, from 0
        "annual_return": pl.Float64(),  #: time-weighted return a year, as a fraction
        "annual_volatility": pl.Float64(),  #: standard deviation of returns a year
        "sharpe": pl.Float64(),  #: Sharpe's ratio a year, over bills; null where there is no risk
        "worst_drawdown": pl.Float64(),  #: deepest fall from a peak, a positive fraction of it
        "tracking_error": pl.Float64(),  #: standard deviation a year of the return less that of the targets held exactly and without cost
        "mean_drift": pl.Float64(),  #: one-way drift at the end of a step, before any trade, on average
        "rms_drift": pl.Float64(),  #: root of the mean square of it
        "events": pl.Float64(),  #: dates after the first on which anything traded
        "orders_per_year": pl.Float64(),  #: orders a year
        "turnover_per_year": pl.Float64(),  #: buys + sales over twice NAV, a year
        "cost_per_year_usd": pl.Float64(),  #: half spreads a year, those of the first purchase included
        "tax_per_year_usd": pl.Float64(),  #: tax a year
        "realized_short_per_year_usd": pl.Float64(),  #: short-term gain realized a year, net of losses, after the wash-sale rule
        "realized_long_per_year_usd": pl.Float64(),  #: long-term gain realized a year, net of losses, after the wash-sale rule
        "unused_losses_usd": pl.Float64(),  #: losses carried beyond the last date
        "harvested_per_year_usd": pl.Float64(),  #: losses harvested a year, after the wash-sale rule
        "deferred_tax_usd": pl.Float64(),  #: tax that a sale of everything on the last date would owe
        "proposals_auto_per_year": pl.Float64(),  #: proposals a year that policy approves; null where no minutes are stated
        "proposals_one_per_year": pl.Float64(),  #: proposals a year that one person decides
        "proposals_two_per_year": pl.Float64(),  #: proposals a year that two people decide
        "review_hours_per_year": pl.Float64(),  #: hours a year that reviewers spend on 1,000 such accounts
        "terminal_wealth_usd": pl.Float64(),  #: wealth on the last date
        "liquidated_wealth_usd": pl.Float64(),  #: wealth on the last date after everything is sold and its tax is paid
        "mean_gap_bps": pl.Float64(),  #: certificate's gap of its solves, on average
        "max_gap_bps": pl.Float64(),  #: its greatest
    },
    "lab_accounts": {  #: a policy of a study and an account of the firm that it was tried on
        "study_id": pl.String(),  #: the study: hash of what it means
        "is_hypothetical": pl.Boolean(),  #: always true: no account has had these results
        "policy_id": pl.String(),  #: the policy, by the parameters that differ within the study
        "account_id": pl.String(),  #: the account, as it stood on the night
        "tracking_error": pl.Float64(),  #: standard deviation a year of the return less that of the targets held exactly and without cost; mean of all courses
        "rms_drift": pl.Float64(),  #: root of the mean square of one-way drift at the end of a step; mean of all courses
        "turnover_per_year": pl.Float64(),  #: buys + sales over twice NAV, a year; mean of all courses
        "cost_per_year_usd": pl.Float64(),  #: half spreads a year; mean of all courses
        "tax_per_year_usd": pl.Float64(),  #: tax a year; mean of all courses
        "liquidated_wealth_usd": pl.Float64(),  #: wealth on the last date after everything is sold and its tax is paid; mean of all courses
        "is_on_frontier": pl.Boolean(),  #: whether no other policy has both less tracking error and less tax and cost for this account
    },
    "lab_left_out": {  #: an account that a study meant and that the lab cannot hold as a night does
        "study_id": pl.String(),  #: the study: hash of what it means
        "is_hypothetical": pl.Boolean(),  #: always true, as of every row of a study
        "account_id": pl.String(),  #: the account
        "reason": pl.String(),  #: why it was left out, the first reason of several
    },
    "lab_gaps": {  #: a policy of a study
        "study_id": pl.String(),  #: the study: hash of what it means
        "is_hypothetical": pl.Boolean(),  #: always true: no account has had these results
        "policy_id": pl.String(),  #: the policy, by the parameters that differ within the study
        "solve_count": pl.Int64(),  #: how often trades were solved for
        "mean_gap_bps": pl.Float64(),  #: certificate's gap over all solves, on average
        "max_gap_bps": pl.Float64(),  #: its greatest
        "share_exact": pl.Float64(),  #: solves whose gap is at most a millionth of a basis point, of all
        "share_within_01_bps": pl.Float64(),  #: at most 0.01 basis points
        "share_within_10_bps": pl.Float64(),  #: at most 0.1
        "share_within_100_bps": pl.Float64(),  #: at most 1
        "p50_path_max_gap_bps": pl.Float64(),  #: a path's greatest gap: what half of the paths are below
        "p95_path_max_gap_bps": pl.Float64(),  #: a path's greatest gap: what one path in twenty is above
    },
}

LAB_PART: Final[dict[str, pl.DataType]] = {
    "policy_number": pl.Int64(),
    "measure": pl.String(),
    "path_count": pl.Int64(),
    "mean": pl.Float64(),
    "m2": pl.Float64(),
    "difference": pl.Float64(),
    "difference_m2": pl.Float64(),
    "least": pl.Float64(),
    "greatest": pl.Float64(),
    "histogram": pl.String(),
}
"""What is kept of a measure of the paths of one shard under one policy: sums of squared deviations are ``m2``, differences are to policy 0 on the same path."""

OF_ACCOUNTS: Final = (
    "tracking_error",
    "rms_drift",
    "turnover_per_year",
    "cost_per_year_usd",
    "tax_per_year_usd",
    "liquidated_wealth_usd",
)
"""Measures that are kept of each account of a firm."""

LAB_INTERNAL: Final[dict[str, dict[str, pl.DataType]]] = {
    "lab_studies": {
        "study_name": pl.String(),
        "study": pl.String(),
        "shard_count": pl.Int64(),
        "entered_date": pl.Date(),
    },
    "lab_parts": LAB_PART,
    "lab_year_parts": {**LAB_PART, "year": pl.Int64()},
    "lab_account_parts": {
        "policy_number": pl.Int64(),
        "account_id": pl.String(),
        "path_count": pl.Int64(),
        **{name: pl.Float64() for name in OF_ACCOUNTS},
    },
}
"""``lab_studies``: the study as JSON, and the day, UTC, on which it was asked for last. ``lab_account_parts``: means over a shard's courses. ``lab_parts`` and ``lab_year_parts``: a shard of paths that has them is finished."""
