"""Find anything by a piece of its name: accounts, households and securities of the newest nights, proposals, orders and runs.

Names of accounts, households and securities are kept in memory for as long as their runs are the newest, so that a look at 100,000 accounts
takes milliseconds; proposals and orders are named by the beginning of an id, which the ledger and the lake look up.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

import polars as pl

from schemas.enums import RunState
from schemas.run import GLOBAL_SHARD
from warehouse.lake import Lake
from warehouse.ledger import Fills, Proposals, RunRow, Runs

FEWEST: Final = 2
"""Characters that are worth a search."""
MOST_CHARACTERS: Final = 80
MOST_OF_A_KIND: Final = 6
MOST_RUNS: Final = 12
"""How many runs since the newest whole night are looked into as well."""
ORDER: Final = ("order_id", "proposal_id", "account_id", "side", "symbol", "security_id")
DIGITS: Final = 15
"""Of an id that a number of 64 bits holds."""
ID: Final = re.compile(r"[0-9a-f]{6,20}")
"""How proposals and orders are named: hexadecimal, 20 digits, the first six or more."""


class FoundKind(StrEnum):
    """What may be found."""

    ACCOUNT = "account"
    HOUSEHOLD = "household"
    SECURITY = "security"
    PROPOSAL = "proposal"
    ORDER = "order"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class FoundThing:
    """One thing that was found: its full name, what it is in words, and for an order its proposal."""

    kind: FoundKind
    name: str
    about: str
    proposal_id: str | None = None


@dataclass(frozen=True, slots=True)
class NameIndex:
    """Names of the newest night and of the runs since, each once, sorted. ``key``: what is sought, in small letters.

    ``orders``: the first ``DIGITS`` digits of each order's id as a number, and which account of which run it is of; sorted by the number.
    """

    runs: tuple[str, ...]
    accounts: pl.DataFrame
    households: pl.DataFrame
    securities: pl.DataFrame
    orders: pl.DataFrame


def newest_runs(runs: Runs) -> list[RunRow]:
    """The newest whole night that is done, and what has been done since, newest first; of a ledger without one, the runs there are."""
    night = runs.latest_full_run(date.max)
    done = [run for run in runs.list_runs(MOST_RUNS) if run.state is RunState.DONE]
    since = [run for run in done if night is None or (run.started_at > night.started_at and run.run_id != night.run_id)]
    return [*since, *([night] if night else [])]


def read_names(lake: Lake, runs: list[RunRow]) -> NameIndex:
    """The names that some runs know, the first of them most."""
    ids = [run.run_id for run in runs]
    accounts = [lake.read("landed_accounts", run, columns=("account_id", "household_id", "custodian")) for run in ids]
    securities = [lake.read("landed_securities", run, GLOBAL_SHARD, ("security_id", "symbol", "name")) for run in ids]
    known = _first_of(accounts, "account_id")
    households = known.drop_nulls("household_id").group_by("household_id").agg(accounts=pl.len()).sort("household_id")
    words = pl.concat_str("symbol", "security_id", "name", separator="\n", ignore_nulls=True)
    return NameIndex(
        tuple(ids),
        known.with_columns(key=pl.col("account_id").str.to_lowercase()),
        households.with_columns(key=pl.col("household_id").str.to_lowercase()),
        _first_of(securities, "security_id").with_columns(key=words.str.to_lowercase()),
        _order_keys([lake.read("orders", run, columns=("order_id", "account_id")) for run in ids], known),
    )


def _order_keys(orders: list[pl.DataFrame], accounts: pl.DataFrame) -> pl.DataFrame:
    numbered = accounts.select("account_id").with_row_index("account")
    empty = pl.DataFrame(schema={"key": pl.Int64, "account": pl.UInt32, "run": pl.UInt8})
    key = pl.col("order_id").str.head(DIGITS).str.to_integer(base=16, strict=False)
    found = [
        rows.join(numbered, on="account_id").select(key=key, account="account", run=pl.lit(number, pl.UInt8))
        for number, rows in enumerate(orders)
    ]
    return pl.concat([empty, *found]).drop_nulls("key").sort("key")


def _first_of(frames: list[pl.DataFrame], key: str) -> pl.DataFrame:
    """Rows of several runs, each name once, of the first run that has it."""
    found = (
        pl.concat(frames)
        if frames
        else pl.DataFrame(schema=dict.fromkeys((key, "household_id", "custodian", "symbol", "name"), pl.String()))
    )
    return found.drop_nulls(key).unique(key, keep="first", maintain_order=True).sort(key)


def find_named(
    index: NameIndex, text: str, *, lake: Lake, runs: Runs, proposals: Proposals, fills: Fills
) -> list[FoundThing]:
    """What is called so, or begins so, or has it somewhere in its name: the best of each kind, those that are called so first."""
    wanted = text.strip()[:MOST_CHARACTERS].lower()
    if len(wanted) < FEWEST:
        return []
    found = [
        *_accounts(index, wanted),
        *_households(index, wanted),
        *_securities(index, wanted),
        *_runs(runs, wanted),
    ]
    if ID.fullmatch(wanted):
        found += [*_proposals(proposals, wanted), *_orders(lake, fills, index, wanted)]
    return sorted(found, key=lambda one: _rank(wanted, one.name))


def _rank(wanted: str, name: str) -> int:
    known = name.lower()
    return 0 if known == wanted else 1 if known.startswith(wanted) else 2


def _best(frame: pl.DataFrame, wanted: str) -> Iterator[dict[str, str]]:
    """The first few rows whose key has what is wanted: as it is called, as it begins, anywhere; in the frame's order."""
    key = pl.col("key")
    hits = frame.filter(key.str.contains(wanted, literal=True))
    is_it = (key == wanted) | key.str.starts_with(wanted + "\n")
    ranked = [hits.filter(each).head(MOST_OF_A_KIND) for each in (is_it, key.str.starts_with(wanted))]
    best = pl.concat([*ranked, hits.head(MOST_OF_A_KIND)]).unique("key", keep="first", maintain_order=True)
    yield from best.head(MOST_OF_A_KIND).iter_rows(named=True)


def _accounts(index: NameIndex, wanted: str) -> Iterator[FoundThing]:
    for row in _best(index.accounts, wanted):
        household = f", household {row['household_id']}" if row["household_id"] else ""
        yield FoundThing(FoundKind.ACCOUNT, row["account_id"], f"at {row['custodian']}{household}")


def _households(index: NameIndex, wanted: str) -> Iterator[FoundThing]:
    for row in _best(index.households, wanted):
        number = int(row["accounts"])
        yield FoundThing(FoundKind.HOUSEHOLD, row["household_id"], f"{number:,} account{'' if number == 1 else 's'}")


def _securities(index: NameIndex, wanted: str) -> Iterator[FoundThing]:
    for row in _best(index.securities, wanted):
        yield FoundThing(FoundKind.SECURITY, row["security_id"], ", ".join(filter(None, (row["symbol"], row["name"]))))


def _runs(runs: Runs, wanted: str) -> Iterator[FoundThing]:
    for run in runs.find_runs(wanted, MOST_OF_A_KIND):
        yield FoundThing(FoundKind.RUN, run.run_id, f"{run.kind}, {run.state}")


def _proposals(proposals: Proposals, wanted: str) -> Iterator[FoundThing]:
    for name in proposals.find_proposals(wanted, MOST_OF_A_KIND):
        found = proposals.get_proposal(name)
        if found is not None:
            yield FoundThing(
                FoundKind.PROPOSAL, name, f"of account {found['account_id']}, {found['state'].replace('_', ' ')}", name
            )


def _orders(lake: Lake, fills: Fills, index: NameIndex, wanted: str) -> Iterator[FoundThing]:
    """Orders of the newest nights, and orders that left; each once."""
    sent = fills.find_orders(wanted, MOST_OF_A_KIND).to_dicts()
    known = {row["order_id"]: row for row in (*_proposed_orders(lake, index, wanted), *sent)}
    for name, row in sorted(known.items())[:MOST_OF_A_KIND]:
        what = f"{row['side']} {row['symbol'] or row['security_id']} in account {row['account_id']}"
        yield FoundThing(FoundKind.ORDER, name, what, row["proposal_id"])


def _proposed_orders(lake: Lake, index: NameIndex, wanted: str) -> Iterator[dict[str, str]]:
    """Orders whose id begins so: the index says which accounts have them, and the lake has their rows."""
    first, last = (int(wanted[:DIGITS].ljust(DIGITS, digit), 16) for digit in "0f")
    keys = index.orders["key"]
    hits = index.orders[keys.search_sorted(first, "left") : keys.search_sorted(last, "right")]
    for account, run in hits.select("account", "run").unique(maintain_order=True).head(MOST_OF_A_KIND).iter_rows():
        rows = lake.read_account("orders", index.runs[run], index.accounts["account_id"][account], ORDER)
        yield from rows.filter(pl.col("order_id").str.starts_with(wanted)).to_dicts()
