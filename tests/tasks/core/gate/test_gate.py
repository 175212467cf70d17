import json
from collections.abc import Mapping

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import InputRefused
from schemas.landing import CONTRACTS
from schemas.policy import Policy
from schemas.tables import PUBLIC
from schemas.units import EXACT
from tasks.core.gate import accepted_rows, check_table, gate_accounts, stray_rows
from tasks.core.gate.contract import column_requirement, column_rules
from tasks.core.gate.parsing import LINE, parse
from tests.support.examples import at_most
from tests.support.landing_book import ACCOUNT_TABLES, AS_OF, gated, parsed, rows_of, sound_book, spoilt, with_row

Spoiler = dict[str, pl.DataFrame]


def broken(book: Mapping[str, pl.DataFrame]) -> dict[tuple[str, int], str]:
    """Rules of each quarantined row, by table and row number."""
    common, own = gated(parsed(book))
    rows = pl.concat([common.quarantine, own.quarantine])
    return {
        (table, number): rules
        for table, number, rules in rows.select("table_name", "row_number", "broken_rules").rows()
    }


def verdicts(book: Mapping[str, pl.DataFrame]) -> dict[str, str]:
    """Reason of each quarantined account."""
    return dict(gated(parsed(book))[1].accounts.rows())


def messages(book: Mapping[str, pl.DataFrame]) -> list[str]:
    common, own = gated(parsed(book))
    return [*common.quarantine["message"], *own.quarantine["message"]]


def test_a_sound_book_passes_whole() -> None:
    common, own = gated(parsed(sound_book()))
    assert common.quarantine.is_empty()
    assert own.quarantine.is_empty()
    assert own.accounts.is_empty()
    assert sorted(common.models) == ["growth", "income"]
    assert sorted(common.priced_ids) == ["BND", "OLD", "STK"]


def test_results_have_the_columns_of_the_lake() -> None:
    common, own = gated(parsed(spoilt("lots", 1, quantity="-1")))
    assert common.quarantine.schema == pl.Schema(PUBLIC["quarantine"])
    assert own.quarantine.schema == pl.Schema(PUBLIC["quarantine"])
    assert own.accounts.schema == pl.Schema({"account_id": pl.String, "reason": pl.String})


@pytest.mark.parametrize(
    ("table", "row", "cells", "rules"),
    [
        ("lots", 1, {"quantity": "-3"}, "quantity_not_negative"),
        ("lots", 1, {"quantity": "NaN"}, "quantity_readable"),
        ("lots", 1, {"quantity": "inf"}, "quantity_readable"),
        ("lots", 1, {"quantity": None}, "quantity_required"),
        ("lots", 1, {"unit_cost_usd": "-0.01"}, "unit_cost_usd_not_negative"),
        ("lots", 1, {"acquired_date": "1/2/2020"}, "acquired_date_readable"),
        ("lots", 1, {"acquired_date": "2026-01-06"}, "acquired_date_not_after_as_of"),
        ("lots", 1, {"lot_id": "a/b", "quantity": "x"}, "lot_id_identifier|quantity_readable"),
        ("lots", 1, {"security_id": ".."}, "security_id_identifier"),
        ("lots", 1, {"security_id": "NOPE"}, "security_known"),
        ("cash", 1, {"settled_usd": None}, "settled_usd_required"),
        ("accounts", 1, {"tax_status": "roth"}, "tax_status_known"),
        ("accounts", 1, {"short_term_rate": "37"}, "short_term_rate_between_0_and_1"),
        ("accounts", 1, {"custodian": "A" * 65}, "custodian_label"),
        ("accounts", 1, {"household_id": "../h"}, "household_id_identifier"),
        ("accounts", 1, {"model_id": "nope"}, "model_known"),
        ("accounts", 1, {"policy_id": "nope"}, "policy_known"),
        ("accounts", 1, {"model_id": None}, "model_id_required"),
        ("restrictions", 1, {"rule": "never"}, "rule_known"),
        ("restrictions", 1, {"until_date": "soon"}, "until_date_readable"),
        ("trades", 1, {"side": "short"}, "side_known"),
        ("trades", 1, {"quantity": "-2"}, "quantity_positive"),
        ("trades", 1, {"trade_date": "2026-01-06"}, "trade_date_not_after_as_of"),
        ("trades", 1, {"trade_date": "2062-12-20"}, "trade_date_not_after_as_of"),
        ("trades", 1, {"trade_date": "9999-12-31", "side": "short"}, "side_known|trade_date_not_after_as_of"),
    ],
)
def test_a_bad_row_costs_its_account_the_night_and_no_other(
    table: str, row: int, cells: dict[str, str | None], rules: str
) -> None:
    common, own = gated(parsed(spoilt(table, row, **cells)))
    assert common.quarantine.is_empty()
    assert own.quarantine.select("table_name", "row_number", "broken_rules").rows() == [(table, row, rules)]
    assert own.accounts.rows() == [("A1", "|".join(f"{table}:{rule}" for rule in rules.split("|")))]


@pytest.mark.parametrize(
    ("table", "cells", "rules"),
    [
        ("prices", {"price_usd": "-1"}, "price_usd_not_negative"),
        ("prices", {"price_usd": "Inf"}, "price_usd_readable"),
        ("prices", {"price_date": None}, "price_date_required"),
        ("prices", {"price_date": "2026-01-06"}, "price_date_not_after_as_of"),
        ("securities", {"security_type": "coin"}, "security_type_known"),
        ("securities", {"half_spread_bps": "10000"}, "half_spread_bps_from_0_below_10000"),
        ("securities", {"quantity_step": "0"}, "quantity_step_positive"),
        ("securities", {"is_tradable": "maybe"}, "is_tradable_readable"),
        ("policies", {"tracking_penalty": "0"}, "tracking_penalty_between_0.0001_and_1000000"),
        ("policies", {"max_realized_gain_usd": "-1"}, "max_realized_gain_usd_between_0_and_1000000000000"),
        ("policies", {"tracking_penalty": "1e-320"}, "tracking_penalty_between_0.0001_and_1000000"),
        ("households", {"model_id": "nope"}, "model_known"),
        ("households", {"policy_id": "nope"}, "policy_known"),
        ("households", {"household_id": "a/b"}, "household_id_identifier"),
        ("location_preferences", {"model_id": "nope"}, "model_known"),
        ("location_preferences", {"asset_class": "gold"}, "asset_class_in_model"),
        ("location_preferences", {"tax_status": "roth"}, "tax_status_known"),
        ("location_preferences", {"cost_bps": "-1"}, "cost_bps_from_0_below_10000"),
        ("buy_list", {"rank": "0"}, "rank_at_least_1"),
        ("buy_list", {"security_id": "NOPE"}, "security_known"),
        ("buy_list", {"model_id": "nope"}, "model_known"),
        ("buy_list", {"asset_class": "gold"}, "asset_class_in_model"),
    ],
)
def test_a_bad_row_of_a_common_table_is_named(table: str, cells: dict[str, str | None], rules: str) -> None:
    assert broken(spoilt(table, 1, **cells))[table, 1] == rules


def test_a_broken_price_costs_exactly_the_holders_of_the_security() -> None:
    assert verdicts(spoilt("prices", 1, price_usd="-1")) == {
        "A1": "lots:security_has_price",
        "A2": "lots:security_has_price",
    }


def test_a_price_of_tomorrow_costs_exactly_the_holders_of_the_security() -> None:
    book = spoilt("prices", 2, price_date="2026-01-06")
    assert verdicts(book) == {"A1": "lots:security_has_price", "A3": "lots:security_has_price"}
    assert "price_date is 2026-01-06; needed a date that is not after the as-of date 2026-01-05." in messages(book)[0]


@pytest.mark.parametrize(("table", "column"), [("prices", "price_date"), ("lots", "acquired_date")])
def test_what_is_of_the_as_of_date_itself_is_sound(table: str, column: str) -> None:
    assert broken(spoilt(table, 1, **{column: "2026-01-05"})) == {}


def test_a_line_of_the_wrong_length_is_not_also_of_another_day() -> None:
    book = spoilt("lots", 1, acquired_date="2027-01-01")
    book["lots"] = book["lots"].with_columns(pl.Series(LINE, ["A1,STK,1,10,90,2027-01-01,x", None, None, None]))
    assert broken(book) == {("lots", 1): "line_complete"}


def test_a_broken_price_of_what_nobody_holds_or_lists_costs_nobody() -> None:
    assert verdicts(spoilt("prices", 3, price_usd="0")) == {}


def test_a_broken_security_costs_who_holds_or_restricted_it() -> None:
    book = spoilt("securities", 2, asset_class=None)
    assert verdicts(book) == {"A1": "lots:security_known", "A3": "lots:security_known"}
    assert broken(book)["trades", 2] == "security_known"
    restricted = spoilt("securities", 1, asset_class=None)
    assert verdicts(restricted) == dict.fromkeys(["A1", "A2"], "lots:security_known|restrictions:security_known")
    assert broken(book)["buy_list", 2] == "security_known"


@pytest.mark.parametrize(
    ("table", "security"), [("restrictions", "NOPE"), ("restrictions", "stk"), ("trades", "s-t-k")]
)
def test_a_restriction_of_an_unknown_security_or_a_trade_of_a_respelt_one_costs_its_account(
    table: str, security: str
) -> None:
    book = spoilt(table, 1, security_id=security)
    assert broken(book) == {(table, 1): "security_known"}
    assert verdicts(book) == {"A1": f"{table}:security_known"}


def test_a_trade_of_a_security_that_is_delisted_goes_alone() -> None:
    book = spoilt("trades", 1, security_id="NOPE")
    assert broken(book) == {("trades", 1): "security_known"}
    assert verdicts(book) == {}


@pytest.mark.parametrize("security", ["old", "o.ld", "O-LD"])
def test_a_restriction_for_everyone_of_a_respelt_security_refuses_the_input(security: str) -> None:
    with pytest.raises(InputRefused, match=r"restrictions\.csv row 2: security_id is .*restricts every account"):
        gated(parsed(spoilt("restrictions", 2, security_id=security)))


LOST = {
    "lots": {"security_id": "STK", "lot_id": "7", "quantity": "1"},
    "cash": {"settled_usd": "1", "pending_usd": "1"},
    "trades": {"security_id": "STK", "trade_date": "2025-12-30", "side": "buy", "quantity": "1", "price_usd": "1"},
    "restrictions": {"security_id": "STK", "rule": "no_buy"},
}


@pytest.mark.parametrize("table", LOST)
def test_rows_of_somebody_elses_account_go_alone(table: str) -> None:
    book = with_row(table, account_id="A9", **LOST[table])
    assert list(broken(book).values()) == ["account_known"]
    assert verdicts(book) == {}


@pytest.mark.parametrize("table", LOST)
@pytest.mark.parametrize("text", ["a2", "A 2", "A02", "A-2", "\uff212", '="A2"'])
def test_a_row_whose_account_is_respelt_costs_the_account_it_could_mean(table: str, text: str) -> None:
    book = with_row(table, account_id=text, **LOST[table])
    assert verdicts(book) == {"A2": f"{table}:account_known"}


@pytest.mark.parametrize("space", [" ", "\t", "\u00a0", "\u200b"])
def test_a_row_whose_account_has_spaces_around_it_is_the_accounts(space: str) -> None:
    assert broken(spoilt("lots", 3, account_id=f"A2{space}")) == {}


@pytest.mark.parametrize("text", [None, "???", "../x", "n/a 17"])
def test_a_lot_that_could_be_anybodys_costs_all_that_nothing_vouches_for(text: str | None) -> None:
    book = spoilt("lots", 3, account_id=text)
    assert set(verdicts(book)) == {"A1", "A2", "A3"}
    with_totals = {**book, "account_totals": rows_of("account_id | lot_count\nA1 | 2\nA2 | 1\nA3 | 1")}
    assert verdicts(with_totals) == {"A2": "account_totals:lot_count_as_delivered"}


def test_a_trade_or_a_restriction_that_could_be_anybodys_is_in_no_total() -> None:
    totals = rows_of("account_id | lot_count\nA1 | 2\nA2 | 1\nA3 | 1")
    for table in ("trades", "restrictions"):
        found = verdicts({**spoilt(table, 1, account_id="???"), "account_totals": totals})
        assert found == dict.fromkeys(["A1", "A2", "A3"], f"{table}:account_known")


def test_an_account_without_a_cash_row_is_quarantined() -> None:
    book = sound_book()
    book["cash"] = book["cash"].filter(pl.col("account_id") != "A2")
    assert broken(book) == {("accounts", 2): "cash_present"}


def test_a_broken_cash_row_is_not_also_missing() -> None:
    assert verdicts(spoilt("cash", 2, settled_usd="x")) == {"A2": "cash:settled_usd_readable"}


@pytest.mark.parametrize("table", ["accounts", "lots", "cash"])
def test_every_row_of_a_duplicate_key_is_quarantined(table: str) -> None:
    book = sound_book()
    book[table] = pl.concat([book[table], book[table].head(1)])
    assert {number for _, number in broken(book)} == {1, book[table].height}
    assert list(verdicts(book)) == ["A1"]


def test_the_same_lot_number_in_two_accounts_is_no_duplicate() -> None:
    assert broken(with_row("lots", account_id="A3", security_id="STK", lot_id="1", quantity="1")) == {}


def test_a_choice_named_twice_for_any_account_is_a_duplicate() -> None:
    book = with_row("buy_list", model_id="growth", asset_class="stocks", security_id="STK", rank="2")
    rule = "unique_model_id_asset_class_security_id_tax_status"
    found = broken(book)
    assert found["buy_list", 1] == found["buy_list", 4] == rule


def test_a_key_with_a_null_is_no_key() -> None:
    book = sound_book()
    nameless = book["lots"].head(1).with_columns(lot_id=pl.lit(None, dtype=pl.String))
    book["lots"] = pl.concat([book["lots"], nameless, nameless])
    assert broken(book) == {("lots", 5): "lot_id_required", ("lots", 6): "lot_id_required"}


def test_trades_alike_are_two_trades() -> None:
    book = sound_book()
    book["trades"] = pl.concat([book["trades"], book["trades"]])
    assert broken(book) == {}


def test_a_model_whose_weights_do_not_sum_to_one_is_quarantined_whole_with_the_sum() -> None:
    book = spoilt("model_targets", 1, target_weight="0.6")
    rows = gated(parsed(book))[0].quarantine.filter(pl.col("table_name") == "model_targets")
    assert rows["row_number"].to_list() == [1, 2, 3]
    assert set(rows["broken_rules"]) == {"model_weights_sum_to_one"}
    assert "found a sum of 0.9" in rows["message"][0]
    reasons = "accounts:household_whole|accounts:model_known"
    assert verdicts(book) == {"A1": reasons, "A2": reasons}


@pytest.mark.parametrize(("weight", "is_sound"), [("0.7000009", True), ("0.699999", True), ("0.7000011", False)])
def test_weights_may_miss_one_by_a_millionth(weight: str, is_sound: bool) -> None:  # noqa: FBT001
    assert (broken(spoilt("model_targets", 1, target_weight=weight)) == {}) == is_sound


def test_a_model_without_cash_is_quarantined_whole() -> None:
    book = spoilt("model_targets", 5, asset_class="equity_like")
    assert broken(book)["model_targets", 4] == "model_has_cash"
    assert verdicts(book) == {"A3": "accounts:model_known"}


def test_one_broken_row_breaks_the_whole_model_and_its_buy_list() -> None:
    rules = broken(spoilt("model_targets", 2, absolute_band="-1"))
    assert rules["model_targets", 1] == "model_whole"
    assert rules["model_targets", 2] == "absolute_band_not_negative"
    assert rules["model_targets", 3] == "model_whole"
    assert rules["buy_list", 1] == "model_known"
    assert ("model_targets", 4) not in rules


def test_accounts_of_a_policy_that_is_broken_are_not_traded() -> None:
    assert set(verdicts(spoilt("policies", 1, tracking_penalty="0")).values()) == {
        "accounts:policy_known",
        "accounts:household_whole|accounts:policy_known",
    }


@pytest.mark.parametrize("cells", [{"model_id": "nope"}, {"policy_id": None}])
def test_a_broken_household_costs_its_accounts_and_no_other(cells: dict[str, str | None]) -> None:
    book = spoilt("households", 1, **cells)
    assert verdicts(book) == {"A1": "accounts:household_whole", "A2": "accounts:household_whole"}
    needed = "household_id is H1; needed a household without a broken row in the table households."
    assert f"accounts.csv row 1: {needed}" in messages(book)


def test_a_household_named_twice_costs_its_accounts() -> None:
    book = with_row("households", household_id="H1", model_id="income", policy_id="plain")
    assert broken(book)["households", 1] == broken(book)["households", 2] == "unique_household_id"
    assert list(verdicts(book)) == ["A1", "A2"]


def test_accounts_of_a_household_that_is_not_listed_are_sound() -> None:
    assert verdicts(spoilt("accounts", 3, household_id="H9")) == {}
    book = sound_book()
    del book["households"]
    assert verdicts(book) == {}


def test_a_household_of_nobody_is_sound_and_one_without_a_readable_name_could_be_any_that_has_no_row() -> None:
    assert broken(with_row("households", household_id="H9", model_id="income", policy_id="plain")) == {}
    nameless = with_row("households", model_id="income", policy_id="plain")
    assert broken(nameless) == {("households", 2): "household_id_required"}
    assert verdicts(nameless) == {}
    nameless["accounts"] = nameless["accounts"].with_columns(household_id=pl.Series(["H1", "H1", "H7"]))
    assert verdicts(nameless) == {"A3": "accounts:household_whole"}


@pytest.mark.parametrize("name", ["h1", "H01", "H-1"])
def test_accounts_of_a_household_whose_row_is_respelt_are_not_traded_apart(name: str) -> None:
    assert set(verdicts(spoilt("households", 1, household_id=name))) == {"A1", "A2"}
    assert set(verdicts(spoilt("accounts", 1, household_id=name))) == {"A1"}


@pytest.mark.parametrize(
    ("table", "cells"),
    [
        ("location_preferences", {"asset_class": "gold"}),
        ("location_preferences", {"cost_bps": "x"}),
        ("buy_list", {"rank": "0"}),
        ("buy_list", {"security_id": "STKX"}),
        ("buy_list", {"asset_class": "Stocks"}),
        ("buy_list", {"model_id": "GROWTH"}),
        ("securities", {"asset_class": "Stocks"}),
    ],
)
def test_a_broken_row_of_what_a_model_says_costs_its_accounts_and_no_other(table: str, cells: dict[str, str]) -> None:
    book = spoilt(table, 1, **cells)
    assert (table, 1) in broken(book)
    assert set(verdicts(book)) == {"A1", "A2"}


@pytest.mark.parametrize("table", ["buy_list", "location_preferences"])
def test_a_row_that_could_be_any_models_costs_every_account(table: str) -> None:
    assert set(verdicts(spoilt(table, 1, model_id=None))) == {"A1", "A2", "A3"}
    assert verdicts(spoilt("location_preferences", 1, model_id="nope")) == {}


@pytest.mark.parametrize(
    ("cells", "rules"),
    [
        ({"max_quantity": None, "max_value_usd": None, "min_quantity": None}, "limit_given"),
        ({"min_quantity": "10"}, "quantities_in_order"),
        ({"min_value_usd": "1000.01"}, "values_in_order"),
        ({"rule": "no_buy"}, "limit_of_hold_range"),
        ({"min_quantity": "-1"}, "min_quantity_not_negative"),
        ({"max_quantity": None, "max_value_usd": None, "min_quantity": "x"}, "min_quantity_readable"),
    ],
)
def test_a_range_that_says_nothing_or_contradicts_itself_costs_its_account(
    cells: dict[str, str | None], rules: str
) -> None:
    book = spoilt("restrictions", 3, **cells)
    assert broken(book) == {("restrictions", 3): rules}
    assert verdicts(book) == {"A2": f"restrictions:{rules}"}


@pytest.mark.parametrize(
    "cells",
    [
        {"min_quantity": "9.5"},
        {"min_value_usd": "1000"},
        {"min_quantity": None, "max_quantity": None},
        {"max_quantity": "0", "min_quantity": None},
    ],
)
def test_a_range_of_one_value_or_one_side_is_sound(cells: dict[str, str | None]) -> None:
    assert broken(spoilt("restrictions", 3, **cells)) == {}


def test_a_range_for_everyone_that_is_broken_refuses_the_input() -> None:
    with pytest.raises(InputRefused, match=r"max_value_usd is empty.*one limit at least, where the rule is hold_range"):
        gated(parsed(spoilt("restrictions", 2, rule="hold_range")))


def test_a_range_is_given_as_found() -> None:
    (message,) = messages(spoilt("restrictions", 3, min_quantity="10"))
    assert "min_quantity, max_quantity is 10, 9.5; needed a least that is not above the most." in message


def test_a_restriction_for_everyone_that_cannot_be_read_refuses_the_input() -> None:
    with pytest.raises(
        InputRefused, match=r"restrictions\.csv row 2: rule is never; needed one of no_buy.*restricts every account"
    ):
        gated(parsed(spoilt("restrictions", 2, rule="never")))


def test_a_restriction_for_everyone_of_an_unknown_security_goes_alone() -> None:
    book = spoilt("restrictions", 2, security_id="NOPE")
    assert broken(book) == {("restrictions", 2): "security_known"}
    assert verdicts(book) == {}


def test_a_restriction_whose_account_is_malformed_is_not_for_everyone() -> None:
    book = spoilt("restrictions", 2, account_id="../x")
    assert broken(book) == {("restrictions", 2): "account_id_identifier"}
    assert verdicts(book) == dict.fromkeys(["A1", "A2", "A3"], "restrictions:account_known")


def test_a_restriction_whose_account_cannot_be_read_could_be_anybodys() -> None:
    tables = parsed(sound_book())
    numbered = pl.DataFrame({"account_id": [17.5], "security_id": ["STK"], "rule": ["no_buy"], "until_date": [None]})
    tables["restrictions"] = parse("restrictions", numbered, is_text=False)
    common, own = gated(tables)
    assert common.quarantine["broken_rules"].to_list() == ["account_id_readable"]
    assert own.quarantine.is_empty()
    assert own.accounts["reason"].to_list() == ["restrictions:account_known"] * 3


def test_a_line_cut_short_that_names_no_account_refuses_restrictions() -> None:
    book = sound_book()
    book["restrictions"] = book["restrictions"].with_columns(pl.Series(LINE, [None, ",OLD", None]))
    with pytest.raises(InputRefused, match="row 2: line is ,OLD"):
        gated(parsed(book))


def test_an_account_without_an_identifier_goes_by_its_row() -> None:
    book = spoilt("accounts", 2, account_id=None)
    assert verdicts(book) == {"accounts-row-2": "accounts:account_id_required"}


def test_a_path_as_account_is_quarantined_under_its_name() -> None:
    book = spoilt("accounts", 2, account_id="../x")
    assert verdicts(book) == {"../x": "accounts:account_id_identifier"}


def test_a_foreign_currency_is_refused_by_name() -> None:
    book = sound_book()
    book["accounts"] = book["accounts"].with_columns(currency=pl.Series(["USD", "EUR", None]))
    assert broken(book) == {("accounts", 2): "currency_usd"}
    assert messages(book) == ["accounts.csv row 2: currency is EUR; needed USD, the only currency of this version."]


def test_a_line_of_the_wrong_length_breaks_one_rule_and_costs_its_account() -> None:
    book = sound_book()
    cut = pl.Series(LINE, [None, "A1,BND", None, None])
    book["lots"] = book["lots"].with_columns(cut, quantity=pl.Series(["10", None, "7", "3"]))
    assert broken(book) == {("lots", 2): "line_complete"}
    assert verdicts(book) == {"A1": "lots:line_complete"}
    assert messages(book) == ["lots.csv row 2: line is A1,BND; needed as many cells as the header has columns."]


def test_the_message_has_a_sentence_for_each_rule() -> None:
    first = "lots.csv row 1: quantity is -3; needed a number of 0 or more."
    second = "lots.csv row 1: security_id is NOPE; needed a security with a good row in the table securities."
    assert messages(spoilt("lots", 1, quantity="-3", security_id="NOPE")) == [f"{first} {second}"]


def test_an_empty_cell_is_called_empty() -> None:
    assert (
        "settled_usd is empty; needed a number of at most 12 digits" in messages(spoilt("cash", 1, settled_usd=None))[0]
    )


def test_what_was_found_is_quoted_without_control_characters_and_not_at_length() -> None:
    message = messages(spoilt("lots", 1, lot_id="\x1b[2J" + "x" * 500))[0]
    assert "lot_id is ?[2Jxxx" in message
    assert len(message) < 300


def test_the_row_stands_in_quarantine_as_it_was_read() -> None:
    row = gated(parsed(spoilt("lots", 1, quantity=" -03.0 ")))[1].quarantine["row"][0]
    assert json.loads(row)["quantity"] == " -03.0 "


def test_a_typed_row_stands_in_quarantine_without_trailing_zeros() -> None:
    book = spoilt("lots", 1, quantity="-3")
    tables = parsed(book)
    tables["lots"] = parse("lots", tables["lots"].drop("row_number", "raw", "unparsed"), is_text=False)
    row = json.loads(gated(tables)[1].quarantine["row"][0])
    assert row == {**row, "quantity": "-3", "unit_cost_usd": "90", "acquired_date": "2020-01-02"}


def test_a_frame_that_was_not_parsed_is_a_mistake_of_ours() -> None:
    rows = parsed(sound_book())["lots"].with_columns(pl.col("quantity").cast(pl.String))
    with pytest.raises(ValueError, match="lots were not parsed"):
        check_table("lots", rows)


@pytest.mark.parametrize("table", list(CONTRACTS))
def test_every_check_of_the_contract_has_a_rule_and_every_column_words(table: str) -> None:
    schema = CONTRACTS[table].to_schema()
    assert len(column_rules(table)) == sum(len(column.checks) for column in schema.columns.values())
    assert all(column_requirement(table, column).startswith(f"{column}: ") for column in schema.columns)


def test_a_policy_that_passes_the_gate_can_be_built() -> None:
    rows = parsed(sound_book())["policies"]
    good = accepted_rows("policies", rows, gated(parsed(sound_book()))[0].quarantine)
    values = {
        name: value
        for name, value in good.row(0, named=True).items()
        if value is not None and name in Policy.model_fields
    }
    assert Policy(**values).tracking_penalty == 2.0


# Properties over books with any number of spoilt cells.

BAD_CELLS = ("-1", "nan", "inf", "", "../x", "NOPE", "1e99", "2020-13-01", "7", "true", "A1", "STK", "growth", "cash")


@st.composite
def spoilt_books(draw: st.DrawFn) -> Spoiler:
    """The sound book with up to eight cells overwritten and up to three rows doubled."""
    book = sound_book()
    for _ in range(draw(st.integers(0, 8))):
        table = draw(st.sampled_from(sorted(book)))
        rows = book[table]
        column, at = draw(st.sampled_from(rows.columns)), draw(st.integers(0, rows.height - 1))
        cells = rows[column].to_list()
        cells[at] = draw(st.sampled_from(BAD_CELLS)) or None
        book[table] = rows.with_columns(pl.Series(column, cells, dtype=pl.String))
    for _ in range(draw(st.integers(0, 3))):
        table = draw(st.sampled_from(sorted(book)))
        at = draw(st.integers(0, book[table].height - 1))
        book[table] = pl.concat([book[table], book[table][at]])
    book["restrictions"] = book["restrictions"].filter(pl.col("account_id").is_not_null())
    return book


@settings(max_examples=at_most(15))
@given(spoilt_books())
def test_accepted_and_quarantined_make_up_the_input(book: Spoiler) -> None:
    tables = parsed(book)
    common, own = gated(tables)
    for table, rows in tables.items():
        quarantine = own.quarantine if table in ACCOUNT_TABLES else common.quarantine
        lost = quarantine.filter(pl.col("table_name") == table)["landed_row"].to_list()
        kept = accepted_rows(table, rows, quarantine)["row_number"].to_list()
        assert sorted(kept + lost) == rows["row_number"].to_list()
        assert len(set(lost)) == len(lost)


@settings(max_examples=at_most(10))
@given(spoilt_books(), st.integers(0, 10_000))
def test_shuffling_the_rows_changes_nothing(book: Spoiler, seed: int) -> None:
    tables = parsed(book)
    shuffled = {table: rows.sample(fraction=1, shuffle=True, seed=seed) for table, rows in tables.items()}
    (common, own), (common_again, own_again) = gated(tables), gated(shuffled)
    assert common.quarantine.equals(common_again.quarantine)
    assert own.quarantine.equals(own_again.quarantine)
    assert own.accounts.equals(own_again.accounts)


@settings(max_examples=at_most(10))
@given(spoilt_books())
def test_an_accounts_verdict_does_not_depend_on_other_accounts(book: Spoiler) -> None:
    tables = parsed(book)
    common, own = gated(tables)
    strays = stray_rows({name: tables[name] for name in ACCOUNT_TABLES}, tables["accounts"]["account_id"].drop_nulls())
    for account in tables["accounts"]["account_id"].drop_nulls().unique():
        alone = {name: tables[name].filter(pl.col("account_id") == account) for name in ACCOUNT_TABLES}
        verdict = gate_accounts(alone, common, {}, AS_OF, strays=strays)
        assert verdict.accounts.equals(own.accounts.filter(pl.col("account_id") == account))


@settings(max_examples=at_most(10))
@given(spoilt_books())
def test_every_account_left_has_only_sound_rows_that_can_be_valued(book: Spoiler) -> None:
    tables = parsed(book)
    common, own = gated(tables)
    left = (
        tables["accounts"]
        .filter(~pl.col("account_id").is_in(own.accounts["account_id"].implode()))["account_id"]
        .drop_nulls()
    )
    prices = accepted_rows("prices", tables["prices"], common.quarantine)
    for table in ("lots", "cash"):
        rows = tables[table].filter(pl.col("account_id").is_in(left.implode()))
        assert accepted_rows(table, rows, own.quarantine).height == rows.height
    lots = tables["lots"].filter(pl.col("account_id").is_in(left.implode()))
    valued = lots.join(prices, on="security_id").select((pl.col("quantity") * pl.col("price_usd")).cast(EXACT))
    assert valued.height == lots.height
    assert valued.to_series().null_count() == 0
