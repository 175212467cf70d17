"""Model changes: what investors' profiles ask for tonight, with the tax and the cost of the move, and how they reach the review queue.

Nothing else follows from a profile: an approved change is the model that the account has from the next night on (``tasks.known.landed_rows``), and the trades
are that night's, by the same engine and through the same queue as all others.
"""

from typing import Final

import polars as pl

from schemas.enums import ChangeSubject, RunKind
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import Settings
from schemas.tables import PUBLIC, USD
from tasks.core.facts import Facts, account_parameters, untilted_model
from tasks.core.profiles import ask
from tasks.core.propose import policy_trades
from tasks.known import read_profiles
from tasks.propose.measure import measure_frames
from tasks.runtime import Stores, utc_now
from warehouse.lake import Lake

SUBJECT: Final = ("subject_kind", "subject_id")
TABLES: Final = ("model_changes", "profile_findings")
_SUMS: Final = ("est_tax_usd", "est_cost_usd", "gross_value_usd")


def change_frames(
    lake: Lake, run: RunRef, settings: Settings, facts: Facts, by_account: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """The tables ``model_changes`` and ``profile_findings`` of a shard."""
    profiles = read_profiles(lake, run) if run.kind is RunKind.NIGHTLY else None
    if profiles is None:
        return {table: pl.DataFrame(schema=PUBLIC[table]) for table in TABLES}
    in_force = lake.read("changed_models", run.run_id, GLOBAL_SHARD)
    asked = ask(_members(facts, by_account), profiles, in_force, run.as_of_date)
    return {
        "model_changes": with_costs(asked.changes, facts, run, settings),
        "profile_findings": asked.findings,
    }


def _members(facts: Facts, by_account: pl.DataFrame) -> pl.DataFrame:
    """What ``ask`` looks at: accounts with their NAV, and whether all of their household are known tonight."""
    group = "household_key"
    return (
        account_parameters(facts)
        .join(by_account.select("account_id", "nav_usd"), on="account_id")
        .join(facts.members.with_columns(landed=pl.len().over(group)), on="account_id")
        .select(
            *("account_id", "household_id", "managed_household_id", "status", "nav_usd"),
            model_id=untilted_model(),
            is_complete=pl.len().over(group) == pl.col("landed"),
        )
    )


def with_costs(changes: pl.DataFrame, facts: Facts, run: RunRef, settings: Settings) -> pl.DataFrame:
    """The changes with ``COSTS``: what the accounts would trade tonight if all of them were on their new models; households trade as they do."""
    if changes.is_empty():
        return pl.DataFrame(schema=PUBLIC["model_changes"])
    owners = account_parameters(facts).select(
        "account_id",
        "four_eyes_above_usd",
        "managed_household_id",
        subject_kind=pl.when(pl.col("managed_household_id").is_null())
        .then(pl.lit(str(ChangeSubject.ACCOUNT)))
        .otherwise(pl.lit(str(ChangeSubject.HOUSEHOLD))),
        subject_id=pl.coalesce("managed_household_id", "account_id"),
    )
    owners = owners.join(changes.select(SUBJECT), on=SUBJECT, how="semi")
    moved = facts.of_households(owners["account_id"])
    moves = changes.select(*SUBJECT, from_model_id="current_model_id", to_model_id="to_model_id")
    moved = moved.in_models(moves)
    measured = measure_frames(moved, run, settings)
    traded = policy_trades(moved, measured["drift"], measured["account_drift"], owners["account_id"], run_id=run.run_id)
    costs = (
        owners.join(traded.select("account_id", *_SUMS, "order_count"), on="account_id", how="left")
        .group_by(SUBJECT)
        .agg(
            pl.col(_SUMS).sum().cast(USD),
            pl.col("order_count").sum().cast(pl.Int64),
            four_eyes=pl.col("four_eyes_above_usd").min(),
        )
    )
    gross = pl.col("gross_value_usd").cast(pl.Float64)
    found = changes.join(costs, on=SUBJECT, how="left", maintain_order="left").with_columns(
        turnover=gross * (0.5 / pl.col("nav_usd").cast(pl.Float64)),
        approvals_needed=pl.when((gross > pl.col("four_eyes")).fill_null(value=False)).then(2).otherwise(1),
    )
    return found.select(pl.col(name).cast(dtype) for name, dtype in PUBLIC["model_changes"].items())


def enter_changes(at: Stores, run: RunRef) -> int:
    """Enter the run's model changes in the ledger, and close what is over; how many are new.

    Of a household that the night could not look at as a whole nothing is closed: what waits for it goes on waiting.
    """
    asked = at.lake.read("model_changes", run.run_id)
    ledger = at.ledger.model_changes
    if run.kind is not RunKind.NIGHTLY or (asked.is_empty() and not ledger.has_open_changes()):
        return 0
    names = ("account_id", "household_id", "model_id")
    landed = at.lake.read("landed_accounts", run.run_id, columns=names).drop_nulls(("account_id", "household_id"))
    passed = at.lake.read("scope", run.run_id).join(at.lake.read("gate", run.run_id), on="account_id", how="anti")
    accounts = of_whole_households(landed, passed)
    households = at.lake.read("landed_households", run.run_id, GLOBAL_SHARD, ("household_id", "model_id"))
    both = pl.concat(
        [
            _subjects(ChangeSubject.ACCOUNT, accounts.select(subject_id="account_id", model_id="model_id")),
            _subjects(
                ChangeSubject.HOUSEHOLD,
                accounts.select(subject_id="household_id")
                .unique()
                .join(households.rename({"household_id": "subject_id"}), on="subject_id", how="left"),
            ),
        ]
    )
    now = utc_now()
    ledger.take_over(run.run_id, both.drop_nulls("model_id"), now)
    return ledger.enter_changes(run.run_id, asked, both.select(SUBJECT), now)


def of_whole_households(landed: pl.DataFrame, passed: pl.DataFrame) -> pl.DataFrame:
    """Rows of ``landed`` (``account_id, household_id``) of households all of whose accounts ``passed``.

    Whether each passed is a column first: within ``over`` Polars would copy the list of those that did for every household.
    """
    is_passed = pl.col("account_id").is_in(passed["account_id"].implode())
    return (
        landed.with_columns(is_passed=is_passed)
        .filter(pl.col("is_passed").all().over("household_id"))
        .drop("is_passed")
    )


def _subjects(kind: ChangeSubject, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(subject_kind=pl.lit(str(kind)), subject_id="subject_id", model_id="model_id")
