from datetime import date, timedelta
from itertools import groupby

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.landing import CONTRACTS, OPTIONAL_COLUMNS
from schemas.landing_columns import CASH, SHARDED_TABLES, dtypes
from schemas.policy import Policy
from tasks.core.gate.parsing import parse
from tasks.demo.book import PART_ACCOUNTS, BookPart, book_parts
from tasks.demo.book_accounts import ACTIVE, CLOSED, SMALL_ACCOUNT_USD, account_ids, draw_accounts
from tasks.demo.book_faults import Fault, break_accounts, break_cash, break_lots, draw_hits
from tasks.demo.book_holdings import MOST_LOTS, SHARES_WANTED, _cut_into_lots, _split, draw_lots, draw_weights
from tasks.demo.book_households import draw_managed
from tasks.demo.book_policies import HOUSEHOLD_POLICY, POLICY_IDS, POLICY_SHARES
from tasks.demo.book_reference import (
    CLASSES,
    FUND_MODELS,
    FUNDS,
    LEFT_OUT,
    MODELS,
    PREFERENCE,
    RARELY_BOUGHT,
    SYMBOLS,
    reference_tables,
    target_matrix,
)
from tasks.demo.book_types import RECENT_DAYS, TABLES, AccountDraw, DailyCloses, LotDraw
from tests.support.landing_book import gated

AS_OF = date(2022, 12, 28)
TOLD = tuple(table for table in TABLES if table in SHARDED_TABLES)
FIRST_FUND_DAY = 200
TEXTS = ("n/a", "1,000.00", "NaN")
FUND_SYMBOLS = [fund.symbol for fund in FUNDS]
seeds = st.integers(min_value=0, max_value=2**32)


def random_walks() -> DailyCloses:
    rng = np.random.default_rng(1)
    dates = np.busday_offset(np.datetime64(AS_OF), np.arange(-699, 1))
    closes = np.round(rng.uniform(20, 300, 25) * np.exp(np.cumsum(rng.normal(0, 0.015, (700, 25)), axis=0)), 3)
    closes[:FIRST_FUND_DAY, -len(FUNDS) :] = np.nan
    return DailyCloses(dates, closes)


MARKET = random_walks()
BIG = next(book_parts(MARKET, account_count=4_000, seed=7))
BIG_TEXT = next(book_parts(MARKET, account_count=4_000, seed=7, is_text=True))


def whole_accounts(part: BookPart) -> pl.DataFrame:
    """Accounts that no fault touched."""
    accounts = part.tables["accounts"].unique("account_id", keep="none", maintain_order=True)
    lots = part.tables["lots"]
    spoiled = lots.filter((pl.col("quantity") <= 0) | ~pl.col("security_id").is_in(SYMBOLS) | lot_key().is_duplicated())
    return (
        accounts.filter(
            pl.col("currency") == "USD",
            pl.col("model_id").is_in(list(MODELS)),
            pl.col("tax_status").is_in(["taxable", "tax_deferred", "tax_exempt"]),
            ~pl.col("account_id").str.starts_with("."),
        )
        .join(spoiled, on="account_id", how="anti")
        .join(part.tables["cash"], on="account_id", how="semi")
    )


def lot_key() -> pl.Expr:
    return pl.concat_str("account_id", "security_id", "lot_id", separator="/")


def whole(part: BookPart, table: str) -> pl.DataFrame:
    return part.tables[table].join(whole_accounts(part), on="account_id", how="semi", maintain_order="left")


def drawn(count: int, seed: int) -> tuple[AccountDraw, np.ndarray, LotDraw]:
    rng = np.random.default_rng(seed)
    accounts = draw_accounts(rng, first=1, count=count)
    weights = draw_weights(rng, MARKET, accounts)
    return accounts, weights, draw_lots(rng, MARKET, accounts, weights)


def close_on(day: date, symbol: str) -> float:
    return float(MARKET.closes[np.flatnonzero(MARKET.dates == np.datetime64(day))[0], SYMBOLS.index(symbol)])


# Reference tables


@pytest.mark.parametrize(
    "table", ["securities", "prices", "model_targets", "policies", "buy_list", "location_preferences"]
)
def test_reference_tables_keep_the_landing_contract(table: str) -> None:
    frame = reference_tables(MARKET)[table]
    assert dict(frame.schema) == {name: dtype for name, dtype in dtypes(table).items() if name not in LEFT_OUT}
    assert table != "securities" or OPTIONAL_COLUMNS[table] > LEFT_OUT
    whole = frame.with_columns(pl.lit(None, dtypes(table)[name]).alias(name) for name in LEFT_OUT & set(dtypes(table)))
    CONTRACTS[table].validate(whole, lazy=True)


def test_prices_are_the_closes_of_the_as_of_date() -> None:
    prices = reference_tables(MARKET)["prices"]
    assert prices["price_date"].unique().to_list() == [AS_OF]
    assert {row["security_id"]: float(row["price_usd"]) for row in prices.to_dicts()} == {
        symbol: close_on(AS_OF, symbol) for symbol in SYMBOLS
    }


def test_stocks_trade_whole_and_funds_in_thousandths() -> None:
    steps = reference_tables(MARKET)["securities"].group_by("security_type").agg(pl.col("quantity_step").unique())
    assert {kind: [float(step) for step in found] for kind, found in steps.iter_rows()} == {
        "equity": [1.0],
        "etf": [0.001],
    }


def test_targets_of_every_model_add_up_to_one_and_have_cash_and_bands() -> None:
    targets = reference_tables(MARKET)["model_targets"]
    sums = targets.group_by("model_id").agg(
        pl.col("target_weight").sum(), has_cash=(pl.col("asset_class") == CASH).any()
    )
    assert sums.height >= 8
    assert sums["has_cash"].all()
    assert ((sums["target_weight"] - 1).abs() < 1e-9).all()
    assert targets["absolute_band"].unique().to_list() == [0.05]
    assert targets["relative_band"].unique().to_list() == [0.25]


def test_cautious_models_hold_more_cash_and_less_technology_than_aggressive_ones() -> None:
    cautious, aggressive = MODELS["capital_preservation"], MODELS["aggressive"]
    assert cautious[CASH] > aggressive[CASH]
    assert cautious.get("technology", 0.0) < aggressive["technology"]


def test_the_matrix_of_targets_says_what_the_table_says() -> None:
    assert target_matrix().sum(axis=1) == pytest.approx(np.ones(len(MODELS)), abs=1e-9)
    assert np.count_nonzero(target_matrix()) == reference_tables(MARKET)["model_targets"].height


def test_buy_lists_rank_every_class_but_cash_from_one_with_securities_of_the_class() -> None:
    tables = reference_tables(MARKET)
    buys = tables["buy_list"].join(tables["securities"], on="security_id", suffix="_own")
    assert (buys["asset_class"] == buys["asset_class_own"]).all()
    ranks = buys.group_by("model_id", "asset_class").agg(pl.col("rank").sort())
    assert all(row["rank"] == list(range(1, len(row["rank"]) + 1)) for row in ranks.to_dicts())
    targets = tables["model_targets"].filter(pl.col("asset_class") != CASH)
    assert targets.join(ranks, on=["model_id", "asset_class"], how="anti").is_empty()
    assert targets.height == ranks.height


def test_some_entries_of_the_buy_list_serve_one_tax_status_and_the_firms_taboo_is_nobodys_first_choice() -> None:
    buys = reference_tables(MARKET)["buy_list"]
    assert buys["tax_status"].drop_nulls().n_unique() == 3
    assert 1 not in buys.filter(pl.col("security_id") == RARELY_BOUGHT)["rank"]
    assert 1 not in buys.filter(pl.col("tax_status").is_not_null())["rank"]


def test_policies_are_policies_and_show_every_rule() -> None:
    rows = reference_tables(MARKET)["policies"].to_dicts()
    made = {
        row["policy_id"]: Policy(**{k: v for k, v in row.items() if k != "policy_id" and v is not None}) for row in rows
    }
    assert [name for name, policy in made.items() if policy.is_harvesting] == ["harvester"]
    assert [name for name, policy in made.items() if policy.max_realized_gain_usd] == ["gain_budget"]
    assert made["sparing"].max_orders == 4
    assert {policy.trade_mode for policy in made.values()} == {"full", "buy_only", "cash_flow_first"}
    assert made["cautious"].auto_approve_max_turnover is None
    assert made["private"].four_eyes_above_usd == 250_000
    assert {policy.trade_to for policy in made.values()} == {0.0, 0.5, 1.0}
    assert set(made) == set(POLICY_IDS)
    assert sum(POLICY_SHARES) == pytest.approx(1)


# Accounts


def test_ids_sort_as_numbers_do_and_grow_with_the_book() -> None:
    assert account_ids(np.array([1, 12]), width=7).to_list() == ["A0000001", "A0000012"]
    assert account_ids(np.array([12_345_678]), width=8).to_list() == ["A12345678"]


@given(seed=seeds)
@settings(max_examples=20)
def test_households_are_neighbours_two_to_five_of_them(seed: int) -> None:
    accounts = draw_accounts(np.random.default_rng(seed), first=101, count=400)
    runs = [(key, len(list(members))) for key, members in groupby(accounts.household) if key]
    assert len({key for key, _ in runs}) == len(runs)
    assert all(2 <= size <= 5 for _, size in runs)
    assert all(key in accounts.number for key, _ in runs)


def test_about_two_accounts_of_five_share_a_household() -> None:
    assert BIG.tables["accounts"]["household_id"].is_not_null().mean() == pytest.approx(0.4, abs=0.06)


def test_accounts_are_of_all_sizes_and_small_ones_hold_funds_only() -> None:
    accounts = draw_accounts(np.random.default_rng(3), first=1, count=50_000)
    assert np.median(accounts.nav_usd) == pytest.approx(150_000, rel=0.03)
    assert accounts.nav_usd.min() >= 5_000
    assert accounts.nav_usd.max() > 10_000_000
    assert np.isin(accounts.model[accounts.nav_usd < SMALL_ACCOUNT_USD], FUND_MODELS).all()


def test_shares_of_tax_status_and_status_are_as_planned() -> None:
    accounts = draw_accounts(np.random.default_rng(3), first=1, count=50_000)
    assert np.bincount(accounts.tax_status) / 50_000 == pytest.approx([0.6, 0.3, 0.1], abs=0.01)
    assert np.bincount(accounts.status) / 50_000 == pytest.approx([0.987, 0.010, 0.003], abs=0.002)


def test_only_taxable_accounts_have_realized_gains() -> None:
    untaxed = BIG.tables["accounts"].filter(pl.col("tax_status").is_in(["tax_deferred", "tax_exempt"]))
    taxed = BIG.tables["accounts"].filter(pl.col("tax_status") == "taxable")
    assert (untaxed["ytd_short_gain_usd"] == 0).all()
    assert (untaxed["ytd_long_gain_usd"] == 0).all()
    assert (taxed["ytd_long_gain_usd"] > 0).any()
    assert (taxed["ytd_long_gain_usd"] < 0).any()


def test_some_taxable_accounts_carry_losses_forward_and_no_other_does() -> None:
    carried = BIG.tables["accounts"].filter(
        pl.any_horizontal(pl.col("loss_carryforward_short_usd", "loss_carryforward_long_usd").is_not_null())
    )
    assert carried.height / 4_000 == pytest.approx(0.05, abs=0.015)
    assert set(carried["tax_status"]) <= {"taxable", "sheltered"}
    assert (carried["loss_carryforward_long_usd"].drop_nulls() > 0).all()
    assert carried["loss_carryforward_short_usd"].null_count() > 0


# Households


def managed_accounts(part: BookPart) -> pl.DataFrame:
    return part.tables["accounts"].join(part.tables["households"], on="household_id", suffix="_of_household")


def test_households_that_are_managed_keep_the_contract_and_are_of_the_book() -> None:
    households = BIG.tables["households"]
    CONTRACTS["households"].validate(households, lazy=True)
    assert households["household_id"].is_sorted()
    assert set(households["policy_id"]) == {HOUSEHOLD_POLICY}
    members = managed_accounts(BIG).group_by("household_id").agg(pl.col("account_id").n_unique())
    assert members.height == households.height
    assert members["account_id"].is_between(2, 5).all()
    assert members["account_id"].sum() / 4_000 == pytest.approx(0.03, abs=0.01)


def test_all_accounts_of_a_managed_household_follow_the_model_of_its_largest() -> None:
    members = managed_accounts(BIG).filter(pl.col("model_id") != "retired_model")
    assert (members["model_id"] == members["model_id_of_household"]).all()
    plain = draw_accounts(np.random.default_rng(5), first=1, count=400)
    accounts, managed = draw_managed(np.random.default_rng(6), plain)
    for household in managed:
        of = plain.household == household
        assert set(accounts.model[of]) == {plain.model[of][plain.nav_usd[of].argmax()]}
    is_apart = ~np.isin(plain.household, managed)
    assert (accounts.model[is_apart] == plain.model[is_apart]).all()


@pytest.mark.parametrize("count", [1, 2, 15])
def test_a_book_with_a_household_has_a_managed_one(count: int) -> None:
    part = next(book_parts(MARKET, account_count=count, seed=4))
    shared = part.tables["accounts"]["household_id"].drop_nulls().n_unique()
    assert (part.tables["households"].height > 0) == (shared > 0)


# Holdings


@given(seed=seeds)
@settings(max_examples=20)
def test_weights_are_fractions_and_leave_room_for_cash(seed: int) -> None:
    accounts, weights, _ = drawn(200, seed)
    assert (weights >= 0).all()
    assert (weights.sum(axis=1) < 1).all()
    assert (weights[accounts.status != CLOSED].sum(axis=1) > 0.5).all()


@given(seed=seeds)
@settings(max_examples=20)
def test_a_class_is_split_over_one_to_three_of_its_securities_and_dear_ones_are_left_to_the_rich(seed: int) -> None:
    rng = np.random.default_rng(seed)
    accounts = draw_accounts(rng, first=1, count=200)
    target = target_matrix()[accounts.model]
    shares = _split(rng, MARKET, accounts, target)
    for name, symbols in PREFERENCE.items():
        members = [SYMBOLS.index(symbol) for symbol in symbols]
        split = shares[:, members]
        can_afford = (
            MARKET.closes[-1][members] * SHARES_WANTED <= (target[:, CLASSES.index(name)] * accounts.nav_usd)[:, None]
        )
        assert split.sum(axis=1) == pytest.approx(np.ones(200))
        assert np.isin((split > 0).sum(axis=1), (1, 2, 3)).all()
        assert not (split[can_afford.any(axis=1)] > 0)[~can_afford[can_afford.any(axis=1)]].any()


@given(seed=seeds)
@settings(max_examples=20)
def test_lots_are_sorted_numbered_positive_and_bought_when_there_was_a_price(seed: int) -> None:
    accounts, _, lots = drawn(200, seed)
    keys = list(zip(lots.account, lots.security, lots.day, lots.sequence, strict=True))
    assert keys == sorted(keys)
    assert len({(account, security, sequence) for account, security, _, sequence in keys}) == len(keys)
    assert (lots.micros > 0).all()
    assert (lots.day >= MARKET.first_priced[lots.security]).all()
    assert (lots.day < len(MARKET.dates) - 1).all()
    assert np.bincount(lots.account, minlength=len(accounts)).max() <= MOST_LOTS


@given(seed=seeds)
@settings(max_examples=20)
def test_lots_together_are_worth_what_was_planned_to_within_a_step_and_a_reinvested_share(seed: int) -> None:
    accounts, weights, lots = drawn(100, seed)
    held = np.zeros_like(weights)
    np.add.at(held, (lots.account, lots.security), lots.micros / 1e6)
    count = np.zeros_like(weights)
    np.add.at(count, (lots.account, lots.security), 1)
    planned = weights * accounts.nav_usd[:, None] / MARKET.closes[-1]
    assert (np.abs(held - planned) <= 0.5 + count).all()
    assert np.abs(held - planned)[:, -len(FUNDS) :].max() <= 0.0005 + 1e-9


@given(seed=seeds, units=st.lists(st.integers(min_value=1, max_value=10**9), min_size=1, max_size=20))
@settings(max_examples=50)
def test_a_holding_cut_into_lots_adds_up(seed: int, units: list[int]) -> None:
    rng = np.random.default_rng(seed)
    holding = np.sort(np.concatenate([np.arange(len(units)), rng.integers(len(units), size=30)]))
    pieces = _cut_into_lots(rng, holding, np.array(units))
    assert (pieces >= 0).all()
    assert np.bincount(holding, weights=pieces).tolist() == units


def test_accounts_have_about_twenty_lots_and_ten_securities() -> None:
    lots = whole(BIG, "lots").group_by("account_id").agg(pl.len(), held=pl.col("security_id").n_unique())
    assert lots["len"].mean() == pytest.approx(20, abs=1.5)
    assert lots["held"].mean() == pytest.approx(10.5, abs=1)


def test_unit_costs_are_the_closes_of_their_dates_save_the_few_unknown_or_given() -> None:
    lots = whole(BIG, "lots")
    known = lots.filter(pl.col("acquired_date").is_not_null(), pl.col("unit_cost_usd") > 0)
    sample = known.gather_every(97)
    assert [float(cost) for cost in sample["unit_cost_usd"]] == [
        close_on(*key) for key in sample.select("acquired_date", "security_id").iter_rows()
    ]
    for odd in ("unit_cost_usd", "acquired_date"):
        assert 0 < lots[odd].null_count() < 0.004 * lots.height
    assert 0 < (lots["unit_cost_usd"] == 0).sum() < 0.002 * lots.height


def test_quantities_are_whole_shares_thousandths_of_funds_and_a_few_reinvested_fractions() -> None:
    lots = whole(BIG, "lots").with_columns(
        pl.col("quantity").cast(pl.Float64), is_fund=pl.col("security_id").is_in(FUND_SYMBOLS)
    )
    steps = pl.when("is_fund").then(1_000).otherwise(10_000) * pl.col("quantity")
    assert lots.select((steps - steps.round()).abs().max()).item() < 1e-4
    stocks = lots.filter(~pl.col("is_fund"))["quantity"]
    assert (stocks % 1 != 0).mean() == pytest.approx(0.03, abs=0.01)


def test_a_few_lots_are_frozen() -> None:
    assert BIG.tables["lots"]["is_frozen"].mean() == pytest.approx(0.002, abs=0.001)


def test_many_lots_are_young_and_few_are_of_the_last_month() -> None:
    age = (AS_OF - pl.col("acquired_date")).dt.total_days()
    young, month = (
        whole(BIG, "lots").select((age <= 365).mean().alias("young"), (age <= 30).mean().alias("month")).row(0)
    )
    assert 0.25 < young < 0.8
    assert 0 < month < 0.03


# Cash, restrictions and trades


def test_cash_expects_flows_of_which_some_exceed_what_is_there() -> None:
    cash = BIG.tables["cash"]
    assert (cash["pending_usd"] > 0).mean() == pytest.approx(0.03, abs=0.01)
    assert (cash["pending_usd"] < 0).mean() == pytest.approx(0.02, abs=0.01)
    assert (cash["pending_usd"] + cash["settled_usd"] < 0).sum() > 5
    assert 0 < (cash["settled_usd"] < 0).sum() < 40


def test_a_reserve_comes_on_top_of_the_cash_that_the_model_wants() -> None:
    reserved = whole(BIG, "accounts").join(BIG.tables["cash"], on="account_id").filter(pl.col("cash_reserve_usd") > 0)
    quiet = reserved.filter(pl.col("pending_usd") == 0, pl.col("settled_usd") > 0)
    assert quiet.height > 100
    assert (quiet["settled_usd"] > quiet["cash_reserve_usd"]).all()


def test_restrictions_keep_the_contract_and_end_in_the_past_today_later_or_never() -> None:
    restrictions = BIG.tables["restrictions"]
    CONTRACTS["restrictions"].validate(restrictions, lazy=True)
    until = restrictions["until_date"]
    assert (until < AS_OF).any()
    assert (until == AS_OF).any()
    assert (until > AS_OF).any()
    assert until.null_count() > 10
    assert set(restrictions["rule"]) == {"no_sell", "no_buy", "no_trade", "no_new", "hold_range"}
    assert restrictions["account_id"].drop_nulls().n_unique() / 4_000 == pytest.approx(0.04, abs=0.015)


def test_ranges_have_their_limits_in_order_and_no_other_rule_has_any() -> None:
    limits = ["min_quantity", "max_quantity", "min_value_usd", "max_value_usd"]
    ranges = BIG.tables["restrictions"].filter(pl.col("rule") == "hold_range")
    assert ranges.height > 3
    assert ranges.select(pl.any_horizontal(pl.col(limits).is_not_null())).to_series().all()
    assert not (ranges["min_value_usd"] > ranges["max_value_usd"]).any()
    assert all(ranges[name].count() > 0 for name in limits)
    others = BIG.tables["restrictions"].filter(pl.col("rule") != "hold_range")
    assert others.select(pl.col(limits).count()).row(0) == (0, 0, 0, 0)


def test_the_firm_forbids_one_security_to_all() -> None:
    firm = BIG.tables["restrictions"].filter(pl.col("account_id").is_null())
    assert firm.select("security_id", "rule", "until_date").rows() == [(RARELY_BOUGHT, "no_buy", None)]


def test_sales_are_forbidden_of_what_is_held() -> None:
    restrictions = whole(BIG, "restrictions").filter(pl.col("rule") == "no_sell")
    assert restrictions.join(BIG.tables["lots"], on=["account_id", "security_id"], how="anti").is_empty()


def test_trades_keep_the_contract_the_span_and_the_days_price() -> None:
    trades = BIG.tables["trades"]
    CONTRACTS["trades"].validate(trades, lazy=True)
    assert trades["trade_date"].is_between(AS_OF - timedelta(days=RECENT_DAYS), AS_OF).all()
    assert [float(price) for price in trades["price_usd"]] == [
        close_on(*key) for key in trades.select("trade_date", "security_id").iter_rows()
    ]
    assert trades["account_id"].n_unique() / 4_000 == pytest.approx(0.08, abs=0.02)


def test_buys_have_no_gain_and_sales_have_losses_too_some_of_them_recent() -> None:
    trades = BIG.tables["trades"]
    sales = trades.filter(pl.col("side") == "sell")
    assert trades.filter(pl.col("side") == "buy")["realized_gain_usd"].null_count() == trades.height - sales.height
    assert sales["realized_gain_usd"].null_count() == 0
    assert (sales["realized_gain_usd"] > 0).any()
    recent = sales.filter(pl.col("trade_date") >= AS_OF - timedelta(days=30))
    assert (recent["realized_gain_usd"] < 0).any()


@pytest.mark.parametrize(("slope", "sign"), [(-0.1, -1), (0.1, 1)])
def test_in_a_market_that_only_fell_every_sale_is_a_loss_and_in_one_that_rose_a_gain(slope: float, sign: int) -> None:
    closes = np.tile(100 + slope * np.arange(700), (25, 1)).T
    part = next(book_parts(DailyCloses(MARKET.dates, closes), account_count=500, seed=1))
    gains = part.tables["trades"]["realized_gain_usd"].drop_nulls()
    assert len(gains) > 10
    assert (gains * sign > 0).all()


def test_every_lot_bought_lately_has_its_purchase_among_the_trades() -> None:
    recent = whole(BIG, "lots").filter(pl.col("acquired_date") >= AS_OF - timedelta(days=RECENT_DAYS))
    buys = BIG.tables["trades"].filter(pl.col("side") == "buy")
    key = ["account_id", "security_id", "acquired_date", "quantity"]
    assert recent.height > 100
    assert recent.join(buys.rename({"trade_date": "acquired_date"}), on=key, how="anti").is_empty()


# Faults


@pytest.mark.parametrize("table", TOLD)
def test_tables_of_accounts_have_the_contracts_types_and_a_currency(table: str) -> None:
    expected = dtypes(table) | ({"currency": pl.String()} if table == "accounts" else {})
    assert dict(BIG.tables[table].schema) == expected


@pytest.mark.parametrize("table", ["accounts", "lots", "cash"])
def test_what_no_fault_touched_keeps_the_contract(table: str) -> None:
    CONTRACTS[table].validate(whole(BIG, table).drop("currency", strict=False), lazy=True)


def test_faults_touch_about_one_account_in_a_hundred_and_one_row_in_a_thousand() -> None:
    rows = sum(BIG.tables[table].height for table in ("accounts", "lots", "cash"))
    assert 1 - whole_accounts(BIG).height / 4_000 == pytest.approx(0.011, abs=0.004)
    assert BIG.broken_row_count / rows == pytest.approx(0.001, abs=0.0005)


@pytest.mark.parametrize("part", [BIG, BIG_TEXT], ids=["typed", "text"])
def test_the_count_of_broken_rows_is_what_a_reader_finds(part: BookPart) -> None:
    accounts, lots = part.tables["accounts"], part.tables["lots"]
    quantity = lots["quantity"].cast(pl.String)
    is_number = quantity.str.contains(r"^\d+\.\d+$") & (quantity.cast(pl.Float64, strict=False) > 0)
    is_known = lots["security_id"].is_in(SYMBOLS) & ~lots["account_id"].str.ends_with("X")
    bad_lots = (
        ~(is_number.fill_null(value=False) & is_known) | lots.select(lot_key().is_duplicated()).to_series()
    ).sum()
    bad_accounts = accounts.filter(
        pl.col("account_id").is_duplicated()
        | pl.col("account_id").str.contains("/")
        | (pl.col("currency") != "USD")
        | ~pl.col("model_id").is_in(list(MODELS))
        | (pl.col("tax_status") == "sheltered")
    ).height
    safe = accounts.filter(~pl.col("account_id").str.contains("/")).unique("account_id")
    missing = safe.join(part.tables["cash"], on="account_id", how="anti").height
    assert part.broken_row_count == bad_lots + bad_accounts + missing


def test_the_gate_finds_the_faults_and_nothing_else() -> None:
    raw = {**reference_tables(MARKET), **BIG.tables}
    common, own = gated({table: parse(table, rows, is_text=False) for table, rows in raw.items()})
    assert common.quarantine.is_empty()
    empty = int((BIG.tables["lots"]["quantity"] == 0).sum())  # which count for nothing, and are missed in the totals
    assert own.quarantine.filter(pl.col("table_name") != "account_totals").height == BIG.broken_row_count - empty


def test_lots_of_an_unknown_security_break_no_other_rule() -> None:
    unknown = BIG.tables["lots"].filter(~pl.col("security_id").is_in(SYMBOLS))
    assert unknown.height == 8
    assert not unknown.select(lot_key()).to_series().is_duplicated().any()


def test_a_book_of_two_thousand_accounts_has_every_fault() -> None:
    accounts, _, lots = drawn(2_000, 5)
    hits = draw_hits(np.random.default_rng(5), accounts, lots)
    assert all(len(hits[fault]) >= 1 for fault in Fault)
    everyone = np.concatenate(list(hits.values()))
    assert len(set(everyone)) == len(everyone)
    assert (accounts.status[everyone] == ACTIVE).all()


def test_text_stands_for_numbers_in_a_text_book_and_minus_one_in_a_typed_one() -> None:
    texts = BIG_TEXT.tables["lots"].with_row_index().filter(pl.col("quantity").is_in(TEXTS))
    assert set(texts["quantity"]) == set(TEXTS)
    assert (BIG.tables["lots"]["quantity"].gather(texts["index"]) == -1).all()


def test_a_text_book_is_the_typed_book_otherwise() -> None:
    typed = BIG.tables["lots"].with_columns(pl.col("quantity").cast(pl.String))
    is_text = BIG_TEXT.tables["lots"]["quantity"].is_in(TEXTS)
    assert BIG_TEXT.tables["lots"].filter(~is_text).equals(typed.filter(~is_text))
    assert all(BIG_TEXT.tables[t].equals(BIG.tables[t]) for t in TOLD if t != "lots")


def only(fault: Fault, account: int) -> dict[Fault, np.ndarray]:
    return {each: np.array([account] if each is fault else [], dtype=np.int64) for each in Fault}


def lots_of_two() -> tuple[pl.DataFrame, LotDraw]:
    whole_numbers = np.array([0, 0, 0, 1, 1, 1])
    frame = pl.DataFrame(
        {
            "account_id": ["A1", "A1", "A1", "A2", "A2", "A2"],
            "security_id": ["KO"] * 6,
            "lot_id": ["L1", "L2", "L3"] * 2,
            "quantity": pl.Series([5, 6, 7, 8, 9, 10]).cast(pl.Decimal(18, 6)),
        }
    )
    return frame, LotDraw(whole_numbers, *[np.zeros(6, dtype=np.int64)] * 4)


@pytest.mark.parametrize(
    ("fault", "column", "expected"),
    [
        (Fault.NEGATIVE_QUANTITY, "quantity", [-5, -6, 7, 8, 9, 10]),
        (Fault.MINUS_ONE, "quantity", [-1, -1, 7, 8, 9, 10]),
        (Fault.UNKNOWN_SECURITY, "security_id", ["KO.OLD", "KO.OLD", "KO", "KO", "KO", "KO"]),
        (Fault.DUPLICATE_LOT, "lot_id", ["L1", "L1", "L2", "L3", "L1", "L2", "L3"]),
        (Fault.ORPHAN_LOTS, "account_id", ["A1", "A1", "A1", "A1X", "A1X", "A2", "A2", "A2"]),
    ],
)
def test_each_fault_of_lots_breaks_the_account_it_hits_and_no_other(
    fault: Fault, column: str, expected: list[object]
) -> None:
    frame, lots = lots_of_two()
    broken, count = break_lots(frame, lots, only(fault, 0), is_text=False)
    assert broken[column].to_list() == expected
    assert count == 2


@pytest.mark.parametrize(
    ("fault", "text"),
    [(Fault.NO_NUMBER, "n/a"), (Fault.THOUSANDS_COMMA, "1,000.00"), (Fault.NOT_A_NUMBER, "NaN")],
)
def test_unreadable_quantities_need_text(fault: Fault, text: str) -> None:
    frame, lots = lots_of_two()
    as_text, _ = break_lots(frame, lots, only(fault, 1), is_text=True)
    as_number, _ = break_lots(frame, lots, only(fault, 1), is_text=False)
    assert as_text["quantity"].to_list() == ["5.000000", "6.000000", "7.000000", text, text, "10.000000"]
    assert as_number["quantity"].to_list() == [5, 6, 7, -1, -1, 10]


@pytest.mark.parametrize(
    ("fault", "column", "expected", "count"),
    [
        (Fault.FOREIGN_CURRENCY, "currency", ["USD", "EUR"], 1),
        (Fault.UNKNOWN_MODEL, "model_id", ["m", "retired_model"], 1),
        (Fault.UNKNOWN_TAX_STATUS, "tax_status", ["taxable", "sheltered"], 1),
        (Fault.DUPLICATE_ACCOUNT, "account_id", ["A1", "A2", "A2"], 2),
        (Fault.UNSAFE_ID, "account_id", ["A1", "A2", "../A2"], 1),
    ],
)
def test_each_fault_of_accounts_breaks_the_account_it_hits_and_no_other(
    fault: Fault, column: str, expected: list[object], count: int
) -> None:
    frame = pl.DataFrame(
        {"account_id": ["A1", "A2"], "currency": "USD", "model_id": "m", "tax_status": "taxable"},
    )
    broken, found = break_accounts(frame, only(fault, 1))
    assert broken[column].to_list() == expected
    assert found == count


def test_a_missing_cash_row_is_gone() -> None:
    broken, count = break_cash(pl.DataFrame({"account_id": ["A1", "A2"]}), only(Fault.MISSING_CASH, 0))
    assert broken["account_id"].to_list() == ["A2"]
    assert count == 1


# Parts


def test_the_same_seed_gives_the_same_book_and_another_seed_another() -> None:
    first, again, other = (next(book_parts(MARKET, account_count=60, seed=seed)) for seed in (3, 3, 4))
    assert all(first.tables[table].equals(again.tables[table]) for table in TOLD)
    assert not first.tables["lots"].equals(other.tables["lots"])


@pytest.mark.parametrize("count", [1, 2, 10, 49])
def test_a_tiny_book_keeps_every_account_and_gets_lots_of_nobody(count: int) -> None:
    part = next(book_parts(MARKET, account_count=count, seed=2))
    assert part.tables["accounts"].height == count
    assert whole_accounts(part).height == count
    orphans = part.tables["lots"].join(part.tables["accounts"], on="account_id", how="anti")
    assert orphans.height == part.broken_row_count == 2


@given(seed=seeds, count=st.integers(min_value=50, max_value=400))
@settings(max_examples=15)
def test_a_small_book_loses_few_accounts_and_is_sorted(seed: int, count: int) -> None:
    part = next(book_parts(MARKET, account_count=count, seed=seed))
    lost = 1 - whole_accounts(part).height / count
    assert lost <= 0.025
    assert part.broken_row_count > 0
    assert part.tables["lots"]["account_id"].is_sorted()


def test_lots_are_sorted_by_account() -> None:
    assert BIG.tables["lots"]["account_id"].is_sorted()


def test_parts_follow_each_other_and_do_not_depend_on_how_many_there_are() -> None:
    alone = next(book_parts(MARKET, account_count=PART_ACCOUNTS, seed=9))
    first, second = book_parts(MARKET, account_count=PART_ACCOUNTS + 3, seed=9)
    assert first.tables["lots"].equals(alone.tables["lots"])
    assert second.tables["accounts"]["account_id"].to_list() == ["A0050001", "A0050002", "A0050003"]
    assert second.tables["restrictions"]["account_id"].null_count() == 0
