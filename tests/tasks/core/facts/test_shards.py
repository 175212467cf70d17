import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.facts.shards import household_key, in_scope, shard_accounts, shard_count_for

NO_HOUSEHOLDS = pl.Series([], dtype=pl.String)
SCHEMA = {"account_id": pl.String, "household_id": pl.String, "row_number": pl.Int64}
landed = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=4), st.none() | st.sampled_from(["a", "b", "h1", "h2"])), max_size=40
)


def accounts_of(rows: list[tuple[str | None, str | None]]) -> pl.DataFrame:
    numbered = [(*row, number) for number, row in enumerate(rows, start=1)]
    return pl.DataFrame(numbered, schema=SCHEMA, orient="row")


def test_an_account_that_is_alone_is_not_mixed_up_with_a_household_of_its_name() -> None:
    keys = accounts_of([("x", None), ("y", "x"), (None, None)]).select(household_key()).to_series()
    assert keys.to_list() == ["a x", "h x", None]


def test_accounts_are_cut_into_ranges_of_households_of_about_equal_size() -> None:
    accounts = accounts_of([("1", "h2"), ("2", "h1"), ("3", None), ("4", "h1"), ("5", "h2"), ("6", None)])
    assert shard_accounts(accounts, 3).rows() == [("1", 2), ("2", 1), ("3", 0), ("4", 1), ("5", 2), ("6", 0)]


def test_an_account_delivered_in_two_households_stands_in_the_first_shard() -> None:
    accounts = accounts_of([("1", "h1"), ("2", "h2"), ("1", "h2")])
    assert shard_accounts(accounts, 3).rows() == [("1", 0), ("2", 1)]


def test_rows_without_an_account_have_no_shard() -> None:
    assert shard_accounts(accounts_of([(None, "h"), (None, None)]), 4).is_empty()


@given(rows=landed, shard_count=st.integers(1, 7))
def test_every_account_has_one_shard_and_ranges_of_households_follow_one_another(
    rows: list[tuple[str, str | None]], shard_count: int
) -> None:
    accounts = accounts_of(list({name: (name, household) for name, household in rows}.values()))
    shards = shard_accounts(accounts, shard_count)
    assert shards["account_id"].to_list() == sorted(accounts["account_id"])
    placed = accounts.with_columns(key=household_key()).join(shards, on="account_id").sort("key")
    assert placed.group_by("key").agg(pl.col("shard").n_unique())["shard"].to_list() == [1] * placed["key"].n_unique()
    assert placed["shard"].is_sorted()
    assert set(placed["shard"]) <= set(range(shard_count))
    assert shard_accounts(accounts.reverse(), shard_count).equals(shards)


@given(count=st.integers(1, 300), shard_count=st.integers(1, 20))
def test_shards_of_accounts_that_are_alone_differ_by_one_at_most(count: int, shard_count: int) -> None:
    shards = shard_accounts(accounts_of([(f"{number:04}", None) for number in range(count)]), shard_count)
    sizes = shards.group_by("shard").len()["len"].to_list() + [0] * max(0, shard_count - shards["shard"].n_unique())
    assert max(sizes) - min(sizes) <= 1


def test_many_small_shards_do_not_overflow() -> None:
    count = 100_000
    accounts = pl.DataFrame({"account_id": pl.int_range(count, eager=True).cast(pl.String).str.zfill(6)})
    accounts = accounts.with_columns(household_id=pl.lit(None, pl.String))
    assert shard_accounts(accounts, count)["shard"].to_list() == list(range(count))


@pytest.mark.parametrize(("accounts", "per_shard", "count"), [(0, 10, 1), (10, 10, 1), (11, 10, 2), (100, 1, 100)])
def test_shards_hold_no_more_than_asked_for(accounts: int, per_shard: int, count: int) -> None:
    assert shard_count_for(accounts, per_shard) == count


def test_without_a_scope_every_account_is_landed_and_looked_at_rows_without_one_under_a_placeholder() -> None:
    accounts = accounts_of([("b", None), (None, "h"), ("a", None), ("a", None)])
    everyone, scope = in_scope(accounts, None, NO_HOUSEHOLDS)
    assert everyone.equals(accounts)
    assert scope.to_list() == ["a", "accounts-row-2", "b"]


def test_a_scope_lands_the_rest_of_its_households_beside_it() -> None:
    accounts = accounts_of([("a", "h"), ("b", "h"), ("c", None), ("d", None), (None, "h")])
    some, scope = in_scope(accounts, pl.Series(["a", "d", "d", "nobody"]), NO_HOUSEHOLDS)
    assert some["account_id"].to_list() == ["a", "b", "d", None]
    assert some.columns == accounts.columns
    assert scope.to_list() == ["a", "d"]


def test_a_scope_looks_at_the_whole_of_a_managed_household() -> None:
    accounts = accounts_of([("a", "h"), ("b", "h"), ("c", "g"), ("d", "g"), (None, "h"), ("e", "f")])
    some, scope = in_scope(accounts, pl.Series(["b", "c"]), pl.Series(["h", "f"]))
    assert some["account_id"].to_list() == ["a", "b", "c", "d", None]
    assert scope.to_list() == ["a", "accounts-row-5", "b", "c"]
