"""The allocation statement of filled blocks, from the ledger, as a table or as FIX."""

from collections.abc import Collection
from typing import Final

import polars as pl

from schemas.enums import ProfileFormat
from schemas.errors import WrongUsage
from schemas.exports import Profile
from schemas.settings import Settings
from tasks.core.reconcile import instructions, statement
from warehouse.lake import Lake
from warehouse.ledger import Allotments, Answers

FIX: Final = (ProfileFormat.FIX44, ProfileFormat.FIX50SP2)


def allocation_statement(allotments: Allotments, answers: Answers, blocks: Collection[str] = ()) -> pl.DataFrame:
    """Table ``STATEMENT`` of blocks that anything was filled of; of all where none is named.

    Raises
    ------
    WrongUsage
        Nothing was filled of a block that is named, or there is none.
    """
    orders = allotments.orders_of_filled_blocks(blocks)
    missing = sorted(set(blocks) - set(orders["block_id"]))
    if missing:
        raise WrongUsage(f"nothing was filled of block {missing[0]}\n\nHint: an export's blocks.csv names its blocks.")
    exceptions = allotments.exceptions_of(orders["block_id"].unique().to_list())
    names = orders["order_id"].to_list()
    messages = answers.messages_of({*names, *orders["block_id"]})
    return statement(orders, answers.states_of(names), exceptions, messages)


def as_fix(rows: pl.DataFrame, answers: Answers, lake: Lake, settings: Settings, profile_name: str) -> str:
    """The statement as FIX AllocationInstructions, in the version and under the names of a profile of the settings.

    Raises
    ------
    WrongUsage
        There is no such profile, or it is none of FIX.
    """
    profile = _profile(settings, profile_name)
    sent = (
        answers.sent_orders(rows["order_id"].to_list()) if rows.height else pl.DataFrame(schema={"run_id": pl.String})
    )
    nothing = pl.DataFrame(schema={"symbol": pl.String, "security_type": pl.String})
    found = [lake.read("landed_securities", run).select(nothing.columns) for run in sent["run_id"].unique().sort()]
    securities = pl.concat([nothing, *found])
    known = securities.drop_nulls().unique("symbol", keep="last", maintain_order=True)
    return instructions(rows, dict(known.iter_rows()), profile)


def _profile(settings: Settings, name: str) -> Profile:
    for profile in settings.profiles:
        if profile.name == name and profile.format in FIX:
            return profile
    named = ", ".join(one.name for one in settings.profiles if one.format in FIX) or "none"
    raise WrongUsage(f"{name} is no FIX profile of the settings; there are: {named}")
