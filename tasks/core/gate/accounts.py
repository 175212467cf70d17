"""The gate for the accounts of one shard: which rows are quarantined and which accounts with them.

1. Each row must keep its contract and refer to what the gate accepted: account, security, price, model, policy, household.
2. An account that loses a row its trades depend on is quarantined whole; its good rows are accepted and not traded on.
3. A row that cannot touch an account's trades costs the account nothing: one of an account that was not delivered, or a
   restriction or trade of a security that is not there to be traded.

4. What changed since the account was last accepted, and cannot be explained, breaks a rule too (``compare``). Those rules
   a person may let a row break; the account is then judged without them.

An account's verdict depends on its own rows and on what is common to all, never on another account.

Known limits: a row without a readable account cannot be attributed, so it is quarantined alone. A line of the wrong
length counts for the account that stands in the account's column.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from tasks.core.gate.compare import is_let_through, with_history, without
from tasks.core.gate.contract import Rule
from tasks.core.gate.costs import implausible_costs
from tasks.core.gate.history import History
from tasks.core.gate.places import Places
from tasks.core.gate.reference_tables import MODEL_KNOWN, POLICY_KNOWN, SECURITY_KNOWN, Gated, with_unknown
from tasks.core.gate.restrictions import check_restrictions
from tasks.core.gate.rows import Checked, account_key, breaches, check_table, quarantine_rows, with_future

_ACCOUNT: Final = Rule("account_known", "account_id", "an account of the table accounts")
_PRICE: Final = Rule("security_has_price", "security_id", "a security with a good row in the table prices")
_HOUSEHOLD: Final = Rule("household_whole", "household_id", "a household without a broken row in the table households")
_CASH: Final = Rule("cash_present", "account_id", "a row of the account in the table cash")
_HOLDINGS: Final = ("lots", "cash", "trades")
_HARMLESS: Final = ("account_known", "security_known")
"""Rules that cost an account nothing when a restriction or a trade breaks them."""


@dataclass(frozen=True, slots=True)
class GatedAccounts:
    """``quarantine``: source rows with the rules they broke. ``accounts``: ``account_id``, ``reason`` of each account quarantined.

    ``released``: rows, as in ``quarantine``, that broke rules and that a person let through.
    """

    quarantine: pl.DataFrame
    accounts: pl.DataFrame
    released: pl.DataFrame


def gate_accounts(
    tables: Mapping[str, pl.DataFrame],
    globals_: Gated,
    places: Places,
    as_of: date,
    *,
    history: History | None = None,
    released: pl.Series | frozenset[str] = frozenset(),
    max_cost_to_price: float = 20.0,
) -> GatedAccounts:
    """Judge the accounts of one shard.

    Parameters
    ----------
    tables
        Parsed ``accounts``, ``lots`` and ``cash``, and ``restrictions`` and ``trades`` where delivered. Restrictions
        without an account are passed over: they are judged with the tables that belong to no account.
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
    """
    delivered = tables["accounts"]["account_id"].drop_nulls().unique()
    checked = {
        table: _check_accounts(tables, globals_)
        if table == "accounts"
        else _check_rows(table, rows, globals_, delivered, as_of)
        for table, rows in tables.items()
    }
    if history is not None:
        sound = _without_broken_holdings(delivered, checked)
        checked = with_history(checked, sound, globals_.prices, history, as_of)
    odd = implausible_costs(
        checked["lots"].rows, checked["accounts"].rows, globals_.prices, history, limit=max_cost_to_price
    )
    checked = {**checked, "lots": checked["lots"].with_broken(odd)}
    found = quarantine_rows(list(checked.values()), places)
    passed = found.filter(is_let_through(released))
    counted = [without(each, passed) for each in checked.values()]
    return GatedAccounts(
        quarantine=found.join(passed, on=["table_name", "landed_row"], how="anti", maintain_order="left"),
        accounts=_verdicts(counted, tables["accounts"]),
        released=passed,
    )


def _without_broken_holdings(delivered: pl.Series, checked: Mapping[str, Checked]) -> pl.DataFrame:
    """``account_id`` of the accounts whose lots, cash and trades are sound."""
    broken = [_reasons(checked[table]) for table in _HOLDINGS if table in checked]
    return delivered.to_frame("account_id").join(pl.concat(broken), on="account_id", how="anti")


def unattributed_rows(quarantine: pl.DataFrame) -> pl.DataFrame:
    """Quarantined rows of accounts' tables whose account could not be read; the account that lacks them is unknown."""
    id_rules = pl.col("broken_rules").str.split("|").list
    is_malformed = id_rules.contains("account_id_identifier")
    has_account = pl.col("table_name").is_in(["lots", "cash", "restrictions", "trades"])
    is_firm_wide = (pl.col("table_name") == "restrictions") & ~pl.col("broken_rules").str.contains("account_id_")
    return quarantine.filter(has_account & ~is_firm_wide & (pl.col("account_id").is_null() | is_malformed))


def _check_accounts(tables: Mapping[str, pl.DataFrame], globals_: Gated) -> Checked:
    checked = with_unknown(check_table("accounts", tables["accounts"]), MODEL_KNOWN, globals_.models)
    checked = with_unknown(checked, POLICY_KNOWN, globals_.policies)
    lost = checked.rows.filter(pl.col("household_id").is_in(globals_.lost_households.implode()))
    checked = checked.with_broken(breaches(lost, _HOUSEHOLD))
    return with_unknown(checked, _CASH, tables["cash"]["account_id"].drop_nulls().unique())


def _check_rows(table: str, rows: pl.DataFrame, globals_: Gated, accounts: pl.Series, as_of: date) -> Checked:
    is_own = pl.col("account_id").is_not_null()
    own = check_restrictions(rows.filter(is_own)) if table == "restrictions" else check_table(table, rows)
    checked = with_unknown(own, _ACCOUNT, accounts)
    if table == "lots":
        return with_future(_with_unvalued(checked, globals_), "acquired_date", as_of)
    return checked if table == "cash" else with_unknown(checked, SECURITY_KNOWN, globals_.securities)


def _with_unvalued(checked: Checked, globals_: Gated) -> Checked:
    """Lots whose security is not known, or is known and has no price; one of quantity 0 needs neither."""
    held = Checked(
        checked.table, checked.rows.filter(pl.col("quantity").is_null() | (pl.col("quantity") != 0)), checked.broken
    )
    unpriced = globals_.securities.filter(~globals_.securities.is_in(globals_.priced_ids.implode()))
    without_price = breaches(held.rows.filter(pl.col("security_id").is_in(unpriced.implode())), _PRICE)
    found = with_unknown(held, SECURITY_KNOWN, globals_.securities).with_broken(without_price)
    return Checked(checked.table, checked.rows, found.broken)


def _verdicts(checked: Sequence[Checked], accounts: pl.DataFrame) -> pl.DataFrame:
    reasons = pl.concat([_reasons(each) for each in checked])
    return (
        reasons.join(accounts.select(account_key()), on="account_id", how="semi")
        .unique()
        .sort("account_id", "reason")
        .group_by("account_id", maintain_order=True)
        .agg(pl.col("reason").str.join("|"))
    )


def _reasons(checked: Checked) -> pl.DataFrame:
    """Account and ``table:rule`` of each broken rule that costs the account its night."""
    harmless = _HARMLESS if checked.table in {"restrictions", "trades"} else ()
    counted = checked.broken.filter(~pl.col("rule").is_in(harmless))
    keys = checked.rows.select("row_number", account_key() if checked.table == "accounts" else "account_id")
    found = counted.join(keys, on="row_number", how="inner").drop_nulls("account_id")
    return found.select("account_id", reason=pl.concat_str(pl.lit(f"{checked.table}:"), "rule"))
