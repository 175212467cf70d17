"""On a random sample book: no account's answer depends on another household, on row order or on how the book is cut."""

from collections.abc import Iterable
from datetime import date, timedelta

import polars as pl
import pytest

from schemas.enums import Reason
from schemas.stored import INTERNAL
from schemas.tables import PUBLIC
from tasks.core.facts.shards import household_key, shard_accounts
from tasks.core.propose.conservation import outcome_gaps
from tests.support.night_book import Tables, facts_of, landed_book, night

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1
ACCOUNTS = 300
OF_ACCOUNTS = ("accounts", "lots", "cash", "trades", "restrictions")
SORT_KEYS = {"drift": ["account_id", "asset_class"], "class_reasons": ["account_id", "asset_class"]}
BARS_PURCHASES = ["no_buy", "no_trade"]
BARS_SALES = ["no_sell", "no_trade"]


@pytest.fixture(scope="module")
def book() -> tuple[Tables, date]:
    return landed_book(ACCOUNTS, seed=11)


@pytest.fixture(scope="module")
def exports(book: tuple[Tables, date]) -> pl.DataFrame:
    """Every seventh account was exported some days ago, so that models changed and accounts cool down."""
    tables, as_of = book
    names = tables["accounts"]["account_id"].drop_nulls().unique().sort().gather_every(7)
    rows = [(name, as_of - timedelta(days=number % 12), "another model") for number, name in enumerate(names)]
    return pl.DataFrame(rows, schema=INTERNAL["last_exports"], orient="row")


@pytest.fixture(scope="module")
def whole(book: tuple[Tables, date], exports: pl.DataFrame) -> Tables:
    return night(*book, exports)


def part_of(tables: Tables, accounts: Iterable[str]) -> Tables:
    """The book of some accounts; restrictions for everyone stay."""
    names = list(accounts)
    is_theirs = pl.col("account_id").is_in(names)
    cut = {name: tables[name].filter(is_theirs) for name in OF_ACCOUNTS if name != "restrictions"}
    restrictions = tables["restrictions"].filter(is_theirs | pl.col("account_id").is_null())
    return {**tables, **cut, "restrictions": restrictions}


def households(tables: Tables) -> list[list[str]]:
    """Accounts of each household."""
    named = (
        tables["accounts"].drop_nulls("account_id").unique("account_id", keep="none").with_columns(key=household_key())
    )
    return [sorted(names) for names in named.group_by("key").agg("account_id").sort("key")["account_id"].to_list()]


def key_of(frame: pl.DataFrame) -> str:
    return "account_id" if "account_id" in frame.columns else "household_id"


def names_of(frame: pl.DataFrame, accounts: list[str]) -> list[str]:
    """The accounts, or of a table of households those that the frame has."""
    return accounts if "account_id" in frame.columns else frame["household_id"].to_list()


def assert_same(some: Tables, whole: Tables, accounts: Iterable[str]) -> None:
    names = list(accounts)
    for name, frame in some.items():
        theirs = whole[name].filter(pl.col(key_of(frame)).is_in(names_of(frame, names)))
        assert frame.equals(theirs), name
        assert frame.schema == theirs.schema, name


def test_the_sample_book_reaches_every_kind_of_outcome(whole: Tables) -> None:
    found = set(whole["account_outcomes"]["outcome"])
    assert found >= {"proposed", "in_band", "quarantined", "frozen", "cooling_down"}
    assert whole["proposals"].height > ACCOUNTS // 5


def test_tables_have_the_columns_of_the_lake(whole: Tables) -> None:
    for name, frame in whole.items():
        assert frame.schema == pl.Schema(PUBLIC[name]), name
        assert frame[key_of(frame)].is_sorted(), name


def test_every_account_pulled_has_exactly_one_outcome(whole: Tables, book: tuple[Tables, date]) -> None:
    assert outcome_gaps(book[0]["accounts"]["account_id"].drop_nulls(), whole["account_outcomes"]).is_empty()
    proposed = whole["account_outcomes"].filter(pl.col("outcome") == "proposed")["account_id"]
    assert proposed.to_list() == whole["proposals"]["account_id"].to_list()


def test_a_households_answers_are_the_same_alone_and_among_all(
    book: tuple[Tables, date], exports: pl.DataFrame, whole: Tables
) -> None:
    tables, as_of = book
    proposed = set(whole["proposals"]["account_id"])
    trading = [names for names in households(tables) if proposed & set(names)]
    for names in trading:
        assert_same(night(part_of(tables, names), as_of, exports), whole, names)


@pytest.mark.parametrize("shard_count", [2, 5])
def test_shards_together_give_what_the_whole_gives(
    book: tuple[Tables, date], exports: pl.DataFrame, whole: Tables, shard_count: int
) -> None:
    tables, as_of = book
    shards = shard_accounts(tables["accounts"], shard_count)
    groups = [shards.filter(pl.col("shard") == number)["account_id"] for number in range(shard_count)]
    parts = [night(part_of(tables, names), as_of, exports) for names in groups]
    for name, frame in whole.items():
        together = pl.concat([part[name] for part in parts])
        assert together.sort(together.columns).equals(frame.sort(frame.columns)), name


@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_rows_give_the_same_bytes(
    book: tuple[Tables, date], exports: pl.DataFrame, whole: Tables, seed: int
) -> None:
    tables, as_of = book
    shuffled = {name: rows.sample(fraction=1, shuffle=True, seed=seed) for name, rows in tables.items()}
    again = night(shuffled, as_of, exports.sample(fraction=1, shuffle=True, seed=seed))
    for name, frame in whole.items():
        assert again[name].write_csv() == frame.write_csv(), name


def test_trades_break_no_restriction(book: tuple[Tables, date], whole: Tables) -> None:
    tables, as_of = book
    active = tables["restrictions"].filter(pl.col("until_date").is_null() | (pl.col("until_date") >= as_of))
    assert active.height > 5
    barred = {
        side: set(active.filter(pl.col("rule").is_in(rules)).select("account_id", "security_id").rows())
        for side, rules in (("buy", BARS_PURCHASES), ("sell", BARS_SALES))
    }
    for account, side, security in whole["orders"].select("account_id", "side", "security_id").rows():
        assert (account, security) not in barred[side]
        assert (None, security) not in barred[side]


def test_nothing_is_bought_that_the_household_sold_at_a_loss_within_the_window(
    book: tuple[Tables, date], whole: Tables
) -> None:
    tables, as_of = book
    facts, _ = facts_of(tables)
    days = dict(facts.accounts.join(facts.policies, on="policy_id").select("account_id", "wash_sale_days").rows())
    member = dict(facts.members.rows())
    losses = facts.trades.filter((pl.col("side") == "sell") & (pl.col("realized_gain_usd") < 0))
    sales = {
        (member[account], security, (as_of - day).days)
        for account, security, day in losses.select("account_id", "security_id", "trade_date").rows()
    }
    assert sales
    for account, security in whole["orders"].filter(pl.col("side") == "buy").select("account_id", "security_id").rows():
        since = [age for key, name, age in sales if (key, name) == (member[account], security)]
        assert all(age > days[account] for age in since)


def test_no_order_is_below_the_minimum_unless_it_sells_all_or_raises_cash(
    book: tuple[Tables, date], whole: Tables
) -> None:
    facts, _ = facts_of(book[0])
    least = facts.accounts.join(facts.policies, on="policy_id").select(
        "account_id", "min_trade_usd", "min_trade_weight"
    )
    orders = whole["orders"].join(
        whole["proposals"].select("account_id", "nav_usd", "cash_before_usd"), on="account_id"
    )
    floor = pl.max_horizontal("min_trade_usd", pl.col("min_trade_weight") * pl.col("nav_usd").cast(pl.Float64))
    small = orders.join(least, on="account_id").filter(pl.col("value_usd").cast(pl.Float64) < floor - 1e-6)
    assert small.filter(pl.col("cash_before_usd") >= 0).is_empty()


def test_cash_ends_at_or_above_the_reserve_and_drift_never_grows_without_a_reason(whole: Tables) -> None:
    proposals = whole["proposals"]
    assert (proposals["cash_after_usd"] >= 0).all()
    unforced = proposals.filter(pl.col("cash_before_usd") >= 0)
    assert (unforced["objective_usd"] >= unforced["lower_bound_usd"] - 1e-6).all()
    assert unforced["gap_bps"].median() < 0.5


def test_every_reason_is_a_word_of_the_list(whole: Tables) -> None:
    assert set(whole["class_reasons"]["code"]) <= set(Reason)
    assert whole["class_reasons"]["code"].null_count() == 0
    assert whole["class_reasons"].select("account_id", "asset_class").is_unique().all()
