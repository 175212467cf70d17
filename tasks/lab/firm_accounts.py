"""The firm's own accounts for a study: as they stood on the last published night of the home, and which of them the lab cannot hold."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl

from schemas.errors import WrongUsage
from schemas.lab import BookSection, Study
from schemas.run import RunRef
from schemas.settings import Settings
from tasks.core.facts import Facts
from tasks.core.lab import LEFT_OUT, Holders, classes_of, hold_accounts
from tasks.known import facts
from tasks.runtime import open_ledger
from warehouse.lake import Lake, open_lake

FILTERED: Final = ("model_id", "custodian", "policy_id", "tax_status")
PER_ACCOUNT: Final = ("class_of", "price", "spread", "step", "choice", "can_sell")
MISSING: Final = {"class_of": -1, "price": 1.0, "spread": 0.0, "step": 1.0, "choice": 0, "can_sell": True}
"""What stands where an account has fewer securities than another."""


@dataclass(frozen=True)
class FirmAccounts:
    """``holders``: accounts as they stood on ``begin``; ``left_out``: ``account_id, reason`` of those that the lab cannot hold."""

    holders: Holders
    left_out: pl.DataFrame
    begin: date


def with_night(settings: Settings, study: Study) -> Study:
    """The study with the night that its accounts are of: the last one published, where it names none.

    Raises
    ------
    WrongUsage
        The home has no night.
    """
    if study.book.kind == "account" or study.book.run_id is not None:
        return study
    with closing(open_ledger(settings)) as ledger:
        row = ledger.runs.latest_full_run(date.max)
    if row is None:
        raise WrongUsage(
            f"{settings.home} has no published night whose accounts could be tried\n\n"
            'Hint: `trimtab nightly` makes one; kind = "account" of [book] describes an account instead.'
        )
    given = study.model_dump(by_alias=True, exclude_unset=True)
    return Study.model_validate(given | {"book": given["book"] | {"run_id": row.run_id}})


def firm_accounts(settings: Settings, study: Study, first_look: date) -> FirmAccounts:
    """The accounts that a study means, as they stood on its night.

    Parameters
    ----------
    settings
        The home.
    study
        With its night.
    first_look
        The first date on which they may be looked at.

    Raises
    ------
    WrongUsage
        The night is not there any more, no account is meant, or none can be held.
    """
    book, lake = study.book, open_lake(settings)
    run = night_of_study(settings, study)
    wanted = _draw(book, lake, run)
    if wanted.is_empty():
        raise WrongUsage(f"no account of run {run.run_id} is meant by [book]\n\nHint: leave out some of its filters.")
    found = [
        hold_accounts(replace(own, trade_date=max(first_look, own.trade_date)), names, classes_of(study))
        for own, names in _facts(lake, run, wanted)
    ]
    left_out = pl.concat([pl.DataFrame(schema=LEFT_OUT), *(rows for _, rows in found)]).sort("account_id")
    holders = join_holders([holders for holders, _ in found])
    if not holders.names:
        most = left_out["reason"].value_counts(sort=True).row(0)
        raise WrongUsage(
            f"none of {wanted.height:,} accounts can be tried; of {most[1]:,} {most[0]}\n\n"
            "Hint: say other accounts in [book], or more of them by sample."
        )
    return FirmAccounts(holders, left_out, run.as_of_date)


def night_of_study(settings: Settings, study: Study) -> RunRef:
    """The night of a study's accounts.

    Raises
    ------
    WrongUsage
        The home has it no longer.
    """
    with closing(open_ledger(settings)) as ledger:
        row = ledger.runs.get_run(str(study.book.run_id))
    if row is None:
        raise WrongUsage(
            f"run {study.book.run_id}, of which the study's accounts are, is not in {settings.home}\n\n"
            "Hint: run the study again with its file: it takes the last published night."
        )
    return RunRef(row.run_id, row.as_of_date, row.kind, row.shard_count)


def _draw(book: BookSection, lake: Lake, run: RunRef) -> pl.DataFrame:
    """``account_id, shard`` of accounts that are meant, drawn by a hash of their names; sorted."""
    conditions = [pl.col(name) == getattr(book, name) for name in FILTERED if getattr(book, name) is not None]
    nav = pl.col("nav_usd").cast(pl.Float64)
    if book.least_nav_usd is not None:
        conditions.append(nav >= book.least_nav_usd)
    if book.most_nav_usd is not None:
        conditions.append(nav <= book.most_nav_usd)
    parts = []
    for shard in run.shards:
        landed = lake.read("landed_accounts", run.run_id, shard, ("account_id", *FILTERED))
        measured = lake.read("account_drift", run.run_id, shard, ("account_id", "nav_usd"))
        both = measured.join(landed.unique("account_id", keep="none"), on="account_id").filter(*conditions)
        parts.append(both.select("account_id", shard=pl.lit(shard)))
    meant = pl.concat(parts)
    order = [hashlib.sha256(name.encode()).hexdigest() for name in meant["account_id"]]
    drawn = meant.with_columns(order=pl.Series(order, dtype=pl.String)).sort("order").head(book.sample)
    return drawn.select("account_id", "shard").sort("account_id")


def _facts(lake: Lake, run: RunRef, wanted: pl.DataFrame) -> Iterator[tuple[Facts, list[str]]]:
    """The facts of the shards that have the accounts, and the accounts of each."""
    for shard in wanted["shard"].unique().sort():
        names = wanted.filter(pl.col("shard") == shard)["account_id"]
        yield facts(lake, run, shard).of_households(names), names.to_list()


def join_holders(parts: list[Holders]) -> Holders:
    """Accounts of several shards as one: those with fewer securities have room for as many as the others."""
    widest = max(part.class_of.shape[1] for part in parts)
    starts, offset = [np.zeros(1, np.int64)], 0
    for part in parts:
        starts.append(part.lot_start[1:] + offset)
        offset += int(part.lot_start[-1])
    wide: dict[str, Any] = {
        name: np.concatenate(
            [
                np.pad(
                    getattr(part, name),
                    ((0, 0), (0, widest - part.class_of.shape[1])),
                    constant_values=MISSING[name],
                )
                for part in parts
            ]
        )
        for name in PER_ACCOUNT
    }
    others = (
        "target",
        "location",
        "has_cash_band",
        "rates",
        "is_taxed",
        "cash",
        "gains",
        "carried",
        "lot_security",
        "lot_units",
        "lot_cost",
    )
    joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in others}
    return Holders(
        names=[name for part in parts for name in part.names],
        **wide,
        **joined,
        lot_start=np.concatenate(starts),
        lot_date=[day for part in parts for day in part.lot_date],
        flow_usd=np.zeros(0),
    )
