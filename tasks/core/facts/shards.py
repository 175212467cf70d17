"""Cut accounts into shards: ranges of households, sorted, so that memory stays bounded and files prune."""

import polars as pl

from tasks.core.gate import account_key


def household_key() -> pl.Expr:
    """The household, or the account where it is alone; the prefixes keep the two kinds of name apart."""
    return pl.coalesce(pl.format("h {}", "household_id"), pl.format("a {}", "account_id"))


def shard_accounts(accounts: pl.DataFrame, shard_count: int) -> pl.DataFrame:
    """``account_id, shard``: accounts in order of household, cut into ``shard_count`` ranges of about equal size.

    A household stands in one shard whole. An account delivered twice, in two households, stands where its first one does.
    """
    ordered = accounts.filter(pl.col("account_id").is_not_null()).select("account_id", key=household_key())
    sizes = ordered.group_by("key").agg(size=pl.len().cast(pl.Int64)).sort("key")
    total = max(ordered.height, 1)
    before = pl.col("size").cum_sum() - pl.col("size")
    shards = sizes.select("key", shard=(before * shard_count // total).clip(0, shard_count - 1).cast(pl.Int32))
    return ordered.join(shards, on="key").group_by("account_id").agg(pl.col("shard").min()).sort("account_id")


def shard_count_for(account_count: int, accounts_per_shard: int) -> int:
    """How many shards keep each at about ``accounts_per_shard`` or fewer; at least one."""
    return max(1, -(-account_count // accounts_per_shard))


def in_scope(accounts: pl.DataFrame, scope: pl.Series | None, managed: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
    """The accounts to land and the ids of those to be looked at.

    With a scope the rest of its households is landed too, because the wash-sale window looks across a household; the rest
    of a household that is managed together is looked at with it. An accounts row without a readable id counts under a
    placeholder, so that it has an outcome like any other.

    Parameters
    ----------
    accounts
        Parsed rows, good and bad.
    scope
        Accounts asked for; None: all.
    managed
        ``household_id`` of households that are managed together.
    """
    if scope is None:
        return accounts, accounts.select(account_key())["account_id"].unique().sort()
    asked = accounts.filter(pl.col("account_id").is_in(scope.implode()))
    households = asked.select(key=household_key()).unique()
    landed = accounts.with_columns(key=household_key()).join(households, on="key", how="semi").drop("key")
    joint = asked.filter(pl.col("household_id").is_in(managed.implode())).select("household_id").unique()
    members = landed.join(joint, on="household_id", how="semi").select(account_key())
    looked_at = pl.concat([asked.select("account_id"), members])
    return landed, looked_at["account_id"].unique().sort()
