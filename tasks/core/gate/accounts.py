"""The gate for the accounts of one shard: which rows are quarantined and which accounts with them.

1. Each row must keep its contract and refer to what the gate accepted: account, security, price, model, policy, household.
2. An account that loses a row its trades, or a rule about them, depend on is quarantined whole; its good rows are accepted and
   not traded on. Nothing trades on ``flows``: a row of it that is set aside costs nobody a night, and explains no cash that moved.
3. A row of an account that was not delivered costs the accounts that it could mean (``strays``).
4. What the custodian says the account comes to must be what came (``totals``).
5. What changed since the account was last accepted, unless it is closed and never traded, and cannot be explained, breaks a rule too (``compare``); so does a rule about the
   account that is gone (``kept_rules``).
6. Some rules a person may let a row break (``RELEASABLE``); the account is then judged without them.

An account's verdict depends on its own rows, on what is common to all and on rows of no account, never on another account.

Known limits: a line of the wrong length counts for the account that stands in the account's column.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from schemas.enums import AccountStatus
from tasks.core.gate.basis import implausible_costs
from tasks.core.gate.compare import is_let_through, with_history, without
from tasks.core.gate.contract import Rule
from tasks.core.gate.corporate_actions import ACTION_WHOLE, Actions, is_renamed
from tasks.core.gate.history import History
from tasks.core.gate.indexes import check_direct_indexes
from tasks.core.gate.kept_rules import lost_rules
from tasks.core.gate.reference_tables import (
    MODEL_KNOWN,
    POLICY_KNOWN,
    Gated,
)
from tasks.core.gate.restrictions import check_restrictions, check_tilts
from tasks.core.gate.rows import (
    SECURITY_KNOWN,
    Checked,
    Places,
    account_key,
    breaches,
    check_table,
    quarantine_rows,
    with_future,
    with_unknown,
)
from tasks.core.gate.spellings import could_mean
from tasks.core.gate.strays import ACCOUNT_KNOWN, accounts_that_lack, could_be_lost, stray_rows
from tasks.core.gate.totals import counted_accounts, with_totals

ACCOUNT_IS_KNOWN: Final = Rule(ACCOUNT_KNOWN, "account_id", "an account of the table accounts")
SECURITY_HAS_PRICE: Final = Rule("security_has_price", "security_id", "a security with a good row in the table prices")
HOUSEHOLD_WHOLE: Final = Rule(
    "household_whole", "household_id", "a household without a broken row in the table households"
)
CASH_PRESENT: Final = Rule("cash_present", "account_id", "a row of the account in the table cash")
_SUPERSEDED: Final = Rule(
    "identifier_current",
    "security_id",
    "the identifier and the shares that the corporate action says hold since; the custodian has not booked it yet",
)
_HOLDINGS: Final = ("lots", "cash", "trades")


@dataclass(frozen=True, slots=True)
class GatedAccounts:
    """``quarantine``: source rows with the rules they broke. ``accounts``: ``account_id``, ``reason`` of each account quarantined.

    ``released``: rows, as in ``quarantine``, that broke rules and that a person let through.
    """

    quarantine: pl.DataFrame
    accounts: pl.DataFrame
    released: pl.DataFrame
    vouched: pl.Series
    """``account_id`` of accounts that were checked against more than their own rows: the custodian's totals, or what was accepted before."""
    small_changes: int = 0
    """Holdings that changed without a cause, by too little to ask about."""


def gate_accounts(
    tables: Mapping[str, pl.DataFrame],
    globals_: Gated,
    places: Places,
    as_of: date,
    *,
    history: History | None = None,
    released: pl.Series | frozenset[str] = frozenset(),
    max_cost_to_price: float = 20.0,
    strays: pl.DataFrame | None = None,
    max_total_difference: float = 0.005,
    actions: Actions | None = None,
) -> GatedAccounts:
    """Judge the accounts of one shard.

    Parameters
    ----------
    tables
        Parsed ``accounts``, ``lots`` and ``cash``, and ``restrictions``, ``trades``, ``account_totals``, ``flows``, ``tilts`` and ``direct_indexes`` where delivered.
        Restrictions without an account are passed over: they are judged with the tables that belong to no account.
    globals_
        What the gate accepted of those.
    places
        Where the rows of each table stand, for messages.
    as_of
        No lot may be acquired on a later day.
    history
        The night before; null on the first night: nothing is compared then.
    released
        ``quarantine_id`` of the rows that a person lets through.
    max_cost_to_price
        The setting of that name.
    strays
        ``strays.stray_rows`` of the night, where these tables are a part of it; null: those of these tables.
    max_total_difference
        Share of the custodian's value by which ours may differ.
    actions
        Corporate actions that the tables and the history have been carried over by; null: none.
    """
    delivered = tables["accounts"]["account_id"].drop_nulls().unique()
    checked = {
        table: _check_accounts(tables, globals_)
        if table == "accounts"
        else _check_rows(table, rows, globals_, delivered, as_of=as_of, actions=actions)
        for table, rows in tables.items()
    }
    delisted = _delisted_trades(checked.get("trades"), globals_.securities)
    sound = _without_broken_holdings(delivered, checked, delisted)
    small_changes = 0
    if "account_totals" in checked:
        checked["account_totals"] = with_totals(checked, globals_.prices, max_total_difference)
    if history is not None:
        by_themselves = checked
        is_open = checked["accounts"].rows.filter(pl.col("status") != AccountStatus.CLOSED)
        open_ones = sound.join(is_open, on="account_id", how="semi")
        checked, small_changes = with_history(checked, open_ones, globals_.prices, history, as_of)
        kept = lost_rules(by_themselves, tables["lots"], globals_, history)
        checked = {**checked, "accounts": checked["accounts"].with_broken(kept)}
    odd = implausible_costs(
        checked["lots"].rows, checked["accounts"].rows, globals_.prices, history, limit=max_cost_to_price
    )
    checked = {**checked, "lots": checked["lots"].with_broken(odd)}
    compared = sound.join(history.accepted, on="account_id", how="semi") if history is not None else sound.clear()
    counted = sound.join(counted_accounts(checked), on="account_id", how="semi")
    found = quarantine_rows(list(checked.values()), places)
    passed = found.filter(is_let_through(released))
    judged = [without(each, passed) for each in checked.values()]
    lost = stray_rows(tables, delivered) if strays is None else strays
    reasons = pl.concat([_reasons(each, delisted) for each in judged if each.table != "flows"])
    lacking = accounts_that_lack(
        pl.concat([lost, globals_.strays]),
        delivered,
        globals_.securities,
        globals_.classes,
        broken=reasons.select("account_id"),
        counted=counted,
        compared=compared,
    )
    return GatedAccounts(
        quarantine=found.join(passed, on=["table_name", "landed_row"], how="anti", maintain_order="left"),
        accounts=_verdicts(pl.concat([reasons, lacking]), tables["accounts"]),
        released=passed,
        vouched=pl.concat([counted, compared])["account_id"].unique().sort(),
        small_changes=small_changes,
    )


def _without_broken_holdings(
    delivered: pl.Series, checked: Mapping[str, Checked], delisted: pl.DataFrame
) -> pl.DataFrame:
    """``account_id`` of the accounts whose lots, cash and trades are sound."""
    broken = [_reasons(checked[table], delisted) for table in _HOLDINGS if table in checked]
    return delivered.to_frame("account_id").join(pl.concat(broken), on="account_id", how="anti")


def _check_accounts(tables: Mapping[str, pl.DataFrame], globals_: Gated) -> Checked:
    checked = with_unknown(check_table("accounts", tables["accounts"]), MODEL_KNOWN, globals_.models)
    checked = with_unknown(checked, POLICY_KNOWN, globals_.policies)
    checked = checked.with_broken(breaches(_of_lost_households(checked.rows, globals_), HOUSEHOLD_WHOLE))
    return with_unknown(checked, CASH_PRESENT, tables["cash"]["account_id"].drop_nulls().unique())


def _of_lost_households(accounts: pl.DataFrame, globals_: Gated) -> pl.DataFrame:
    """Accounts whose household has a broken row, or has none while one could be a respelling of it, or may be anybody's."""
    names = accounts["household_id"].drop_nulls().unique()
    apart = names.filter(~names.is_in(globals_.households.implode()))
    lost = apart.filter(could_be_lost(apart, globals_.lost_households))
    respelt = could_mean(apart, globals_.households)["text"]
    return accounts.filter(pl.col("household_id").is_in(pl.concat([lost, respelt]).implode()))


def _check_rows(
    table: str, rows: pl.DataFrame, globals_: Gated, accounts: pl.Series, *, as_of: date, actions: Actions | None
) -> Checked:
    is_own = pl.col("account_id").is_not_null()
    own = check_restrictions(rows.filter(is_own)) if table == "restrictions" else check_table(table, rows)
    checked = with_unknown(own, ACCOUNT_IS_KNOWN, accounts)
    if table == "tilts":
        return check_tilts(checked, globals_.classes, globals_.securities, actions)
    if table == "direct_indexes":
        return check_direct_indexes(checked, globals_.classes, globals_.indexes, globals_.securities, actions)
    if table in {"cash", "account_totals", "flows"}:
        return with_future(checked, "flow_date", as_of) if table == "flows" else checked
    held = checked.rows["security_id"].drop_nulls().unique()
    lost = held.filter(could_be_lost(held, globals_.lost_actions)) if globals_.lost_actions.height else held.clear()
    checked = checked.with_broken(_uncertain_rows(checked.rows, lost))
    if table == "lots":
        booked = checked if actions is None else checked.with_broken(_superseded_lots(checked.rows, actions))
        return with_future(_with_unvalued(booked, globals_), "acquired_date", as_of)
    known = with_unknown(checked, SECURITY_KNOWN, globals_.securities)
    return with_future(known, "trade_date", as_of) if table == "trades" else known


def _superseded_lots(lots: pl.DataFrame, actions: Actions) -> pl.DataFrame:
    """Broken rules (as ``BROKEN``) of lots that an action replaced or paid in cash, and that could not be read as lots of the new."""
    is_paid = (pl.col("ratio") == 0) & (pl.col("acquired_date") < pl.col("effective_date")).fill_null(
        pl.col("is_meant")
    )
    found = lots.filter(pl.col("quantity") > 0).join(actions.effective, on="security_id").filter(is_renamed() | is_paid)
    return breaches(found.unique("row_number"), _SUPERSEDED)


def _uncertain_rows(rows: pl.DataFrame, lost: pl.Series) -> pl.DataFrame:
    """Broken rules of rows of securities that a row of the actions which cannot be read may be about."""
    return breaches(rows.filter(pl.col("security_id").is_in(lost.implode())), ACTION_WHOLE)


def _with_unvalued(checked: Checked, globals_: Gated) -> Checked:
    """Lots whose security is not known, or is known and has no price; one of quantity 0 needs neither."""
    held = Checked(
        checked.table, checked.rows.filter(pl.col("quantity").is_null() | (pl.col("quantity") != 0)), checked.broken
    )
    unpriced = globals_.securities.filter(~globals_.securities.is_in(globals_.priced_ids.implode()))
    without_price = breaches(held.rows.filter(pl.col("security_id").is_in(unpriced.implode())), SECURITY_HAS_PRICE)
    found = with_unknown(held, SECURITY_KNOWN, globals_.securities).with_broken(without_price)
    return Checked(checked.table, checked.rows, found.broken)


def _verdicts(reasons: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    return (
        reasons.join(accounts.select(account_key()), on="account_id", how="semi")
        .unique()
        .sort("account_id", "reason")
        .group_by("account_id", maintain_order=True)
        .agg(pl.col("reason").str.join("|"))
    )


def _delisted_trades(trades: Checked | None, securities: pl.Series) -> pl.DataFrame:
    """``row_number, rule`` of trades of a security that is not delivered and means none that is: it cannot be traded any more."""
    if trades is None:
        return pl.DataFrame(schema={"row_number": pl.Int64, "rule": pl.String})
    strange = trades.rows.filter(~pl.col("security_id").is_in(securities.implode()))
    meant = could_mean(strange["security_id"], securities)["text"]
    delisted = strange.filter(~pl.col("security_id").is_in(meant.implode()))
    return delisted.select("row_number", rule=pl.lit(SECURITY_KNOWN.name))


def _reasons(checked: Checked, harmless: pl.DataFrame) -> pl.DataFrame:
    """Account and ``table:rule`` of each broken rule that costs the account its night; ``harmless`` are rules of trades that do not."""
    keys = checked.rows.select("row_number", account_key() if checked.table == "accounts" else "account_id")
    costly = (
        checked.broken.join(harmless, on=["row_number", "rule"], how="anti")
        if checked.table == "trades"
        else checked.broken
    )
    found = costly.join(keys, on="row_number", how="inner").drop_nulls("account_id")
    return found.select("account_id", reason=pl.concat_str(pl.lit(f"{checked.table}:"), "rule"))
