"""What is said of an account: every word has its sentence, and the numbers are those of the tables."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

import polars as pl
import pytest

from schemas.enums import Outcome, ProposalState, Reason, TaxRegime, Trigger
from schemas.landing_columns import dtypes
from schemas.tables import PUBLIC
from tasks.core.explain.account_page import AccountRecord, Page, frontier_section, household_facts, may_not_buy, page
from tasks.core.explain.sentences import (
    NO_CERTIFICATE,
    OUTCOMES,
    REASONS,
    REGIMES,
    STATES,
    TRIGGERS,
    certificate_sentence,
    outcome_sentences,
    price_of_cash_sentence,
    reason_sentence,
)
from tasks.core.facts.facts import Facts, account_parameters
from tests.support.account_record import RUN, told_of
from tests.support.facts_table import AS_OF, ago, facts_of

SPREADS = """
    security_id | asset_class | half_spread_bps
    S           | stocks      | 10
    T           | stocks      | 0
    B           | bonds       | 20
"""
LOTS = """
    security_id | lot_id | quantity | unit_cost_usd | acquired_date
    S           | 1      | 500      | 90            | 2015-01-05
    S           | 2      | 100      | 110           | 2025-12-05
    T           | 1      | 100      | 130           | 2015-01-05
    B           | 1      | 300      | 100           | 2015-01-05
"""


def world(policy: dict[str, Any] | None = None, /, **drawn: str) -> Facts:
    return facts_of(policy, **{"securities": SPREADS, "lots": LOTS, **drawn})


def numbers(value: Any) -> Iterator[Any]:
    """Every leaf of a page."""
    if isinstance(value, dict):
        for each in value.values():
            yield from numbers(each)
    elif isinstance(value, list):
        for each in value:
            yield from numbers(each)
    else:
        yield value


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        (Outcome, OUTCOMES),
        (Reason, REASONS),
        (Trigger, TRIGGERS),
        (TaxRegime, REGIMES),
        (ProposalState, STATES),
    ],
)
def test_every_word_has_one_sentence_of_its_own(words: type[StrEnum], sentences: dict[StrEnum, str]) -> None:
    assert set(sentences) == set(words)
    assert len(set(sentences.values())) == len(sentences)


@pytest.mark.parametrize(
    ("outcome", "reason", "expected"),
    [
        ("in_band", "no_trigger", []),
        (
            "proposed",
            "drift|cash",
            ["Looked at because a class is out of its band and cash is out of its band or owed."],
        ),
        (
            "blocked",
            "cannot_raise_cash: 12.5 USD short",
            ["The account owes cash, and what it may sell does not bring enough (12.5 USD short)."],
        ),
        ("blocked", "no_target", ["The account's model has no targets."]),
        (
            "quarantined",
            "lots:quantity_not_negative|cash:cash_present",
            ["Broken rules: lots:quantity_not_negative, cash:cash_present."],
        ),
        ("frozen", "account_closed", ["The custodian says that it is closed."]),
        ("cooling_down", "exported_for_this_date", ["Its trades for this date have been exported already."]),
        (
            "cooling_down",
            "cool_down: 3 days since the last export",
            ["Policy waits after an export (3 days since the last export)."],
        ),
        ("no_trade", "restricted|buy_only", ["A restriction forbids the trade.", "The account only buys."]),
        ("no_trade", "nothing_worth_trading", ["No trade was worth its cost."]),
    ],
)
def test_an_outcome_and_each_part_of_its_reason_are_a_sentence(outcome: str, reason: str, expected: list[str]) -> None:
    assert outcome_sentences(outcome, reason) == [OUTCOMES[Outcome(outcome)], *expected]


def test_a_reason_that_is_no_word_of_ours_is_said_as_it_stands() -> None:
    assert reason_sentence("something: else") == "something: else"


def test_classes_after_the_trades_add_up_to_what_is_left_after_costs() -> None:
    told = told_of(world(cash="settled_usd\n 2500.5"))
    found, proposal = page(told), told.tables["proposals"].row(0, named=True)
    after = {row["asset_class"]: row for row in found["classes"]}
    assert list(after) == ["bonds", "stocks", "cash"]
    assert sum(row["value_after_usd"] for row in after.values()) == pytest.approx(
        float(proposal["nav_usd"] - proposal["est_cost_usd"])
    )
    assert after["cash"]["value_after_usd"] == pytest.approx(float(proposal["cash_after_usd"]))
    assert sum(abs(row["drift_after"]) for row in after.values()) / 2 == pytest.approx(proposal["one_way_drift_after"])
    assert sum(row["weight_after"] for row in after.values()) == pytest.approx(1)
    assert after["stocks"]["is_out_of_band"]
    assert not after["stocks"]["is_out_of_band_after"]


def test_classes_of_an_account_without_trades_stay_as_they_are() -> None:
    found = page(told_of(facts_of(lots="security_id | quantity\n S | 60\n B | 40"), "in_band", "no_trigger"))
    assert [(row["value_usd"], row["drift"]) for row in found["classes"]] == [
        (row["value_after_usd"], row["drift_after"]) for row in found["classes"]
    ]
    assert (found["proposal"], found["certificate"], found["orders"]) == (None, None, [])


def test_an_order_has_its_lots_and_each_lot_its_term_gain_and_tax() -> None:
    lots = """
        security_id | lot_id | quantity | unit_cost_usd | acquired_date
        S           | 1      | 700      | 90            | 2015-01-05
        S           | 2      | 50       | 110           | 2025-12-05
        B           | 1      | 250      | 100           | 2015-01-05
    """
    found = page(told_of(world(lots=lots)))
    assert [order["side"] for order in found["orders"]] == sorted(
        (order["side"] for order in found["orders"]), reverse=True
    )
    for order in found["orders"]:
        assert bool(order["lots"]) == (order["side"] == "sell")
        assert sum(lot["quantity"] for lot in order["lots"]) in (0, pytest.approx(order["quantity"]))
    sold = [lot for order in found["orders"] for lot in order["lots"]]
    assert {lot["term"] for lot in sold} == {"short", "long"}
    for lot in sold:
        rate = {"short": 0.4, "long": 0.2}[lot["term"]]
        assert lot["gain_usd"] == pytest.approx((100 - lot["unit_cost_usd"]) * lot["quantity"])
        assert lot["tax_at_own_rate_usd"] == pytest.approx(rate * lot["gain_usd"])


def test_a_lot_of_unknown_basis_has_no_tax_and_an_exempt_account_pays_none() -> None:
    unknown = "security_id | quantity | unit_cost_usd\n S | 800 | 90\n B | 200 |"
    exempt = "account_id | tax_status\n a | tax_exempt"
    (sell,) = [
        order for order in page(told_of(world(lots=unknown, accounts=exempt)))["orders"] if order["side"] == "sell"
    ]
    assert [lot["tax_at_own_rate_usd"] for lot in sell["lots"]] == [0.0]
    held = "security_id | quantity | acquired_date\n S | 800 |\n B | 200 | 2015-01-05"
    (sell,) = [order for order in page(told_of(world(lots=held, accounts=exempt)))["orders"] if order["side"] == "sell"]
    assert [lot["tax_at_own_rate_usd"] for lot in sell["lots"]] == [None]


def test_tax_before_nets_the_year_and_tax_after_adds_what_is_estimated() -> None:
    year = "account_id | ytd_short_gain_usd | ytd_long_gain_usd | loss_carryforward_long_usd\n a | 1000 | 700 | 500"
    told = told_of(world(accounts=year))
    tax, proposal = page(told)["tax"], told.tables["proposals"].row(0, named=True)
    assert tax["tax_before_usd"] == pytest.approx(0.4 * 1000 + 0.2 * 200)
    assert tax["tax_after_usd"] == pytest.approx(440 + float(proposal["est_tax_usd"]))
    assert (tax["ytd_long_gain_usd"], tax["loss_carryforward_short_usd"]) == (700.0, 0.0)
    assert tax["realized_long_gain_usd"] == float(proposal["realized_long_gain_usd"])


def test_an_account_that_pays_no_tax_has_none_before_either() -> None:
    year = "account_id | ytd_short_gain_usd | tax_status\n a | 1000 | tax_deferred"
    assert page(told_of(world(accounts=year)))["tax"]["tax_before_usd"] == 0


def test_a_regime_is_said_in_words() -> None:
    told = told_of(world())
    tables = {**told.tables, "proposals": told.tables["proposals"].with_columns(tax_regime=pl.lit("untaxed"))}
    tax = page(AccountRecord(RUN, told.outcome, tables, told.household, told.facts, None))["tax"]
    assert tax["regime_sentence"] == REGIMES[TaxRegime.UNTAXED]


def test_cash_is_as_delivered_and_beyond_the_reserve() -> None:
    drawn = {"cash": "settled_usd | pending_usd\n 2700 | -100", "accounts": "account_id | cash_reserve_usd\n a | 1000"}
    told = told_of(world(**drawn))
    cash = page(told)["cash"]
    assert (cash["settled_usd"], cash["pending_usd"], cash["reserve_usd"], cash["before_usd"]) == (
        2700,
        -100,
        1000,
        1600,
    )
    assert cash["after_usd"] == float(told.tables["proposals"]["cash_after_usd"].item())
    assert cash["price_of_cash_bps"] == 1e4 * told.tables["proposals"]["shadow_price"].item()


def test_what_stopped_a_class_is_a_sentence_beside_its_code() -> None:
    told = told_of(world(restrictions="security_id | rule\n S | no_trade\n T | no_trade"), "no_trade", "restricted")
    stopped = {row["asset_class"]: row for row in page(told)["stopped"]}
    assert stopped["stocks"]["code"] == "restricted"
    assert stopped["stocks"]["sentence"] == "A restriction forbids the trade."


HOUSEHOLD = "account_id | household_id\n a | h\n b | h\n c |"


def test_a_loss_sale_of_the_household_bars_the_security_until_the_window_closes() -> None:
    trades = f"""
        account_id | security_id | trade_date | realized_gain_usd
        b          | S           | {ago(10)}  | -5
        b          | S           | {ago(12)}  | -5
        b          | T           | {ago(31)}  | -5
        b          | B           | {ago(5)}   | 5
        c          | B           | {ago(5)}   | -5
    """
    facts = world(accounts=HOUSEHOLD, trades=trades)
    parameters = account_parameters(facts).filter(pl.col("account_id") == "a")
    rows = may_not_buy(household_facts(facts, "a"), parameters)
    assert rows.rows() == [("S", AS_OF + timedelta(days=20))]


def test_losses_that_purchases_of_the_household_replace_are_named() -> None:
    drawn = {
        "accounts": HOUSEHOLD,
        "lots": f"""
            account_id | security_id | quantity | unit_cost_usd | acquired_date
            a          | S           | 900      | 120           | 2015-01-05
            a          | B           | 100      | 100           | 2015-01-05
            b          | S           | 20       | 100           | {ago(3)}
            c          | B           | 20       | 100           | {ago(3)}
        """,
    }
    (found,) = page(told_of(world(**drawn)))["wash_sales"]["losses_replaced"]
    assert (found["security_id"], found["replaced_quantity"]) == ("S", 20)
    assert found["sold_at_loss_quantity"] > 100
    exempt = {
        **drawn,
        "accounts": "account_id | household_id | tax_status\n a | h | tax_exempt\n b | h | taxable\n c | | taxable",
    }
    assert page(told_of(world(**exempt)))["wash_sales"]["losses_replaced"] == []


def test_the_facts_of_a_household_are_its_accounts_and_what_binds_everyone() -> None:
    drawn = {
        "accounts": HOUSEHOLD,
        "lots": "account_id | security_id | quantity\n a | S | 1\n b | S | 2\n c | S | 3",
        "restrictions": "account_id | security_id\n b | S\n c | S\n | B",
    }
    facts = household_facts(world(**drawn), "a")
    assert facts.accounts["account_id"].to_list() == ["a", "b"]
    assert facts.lots["account_id"].to_list() == ["a", "b"]
    assert facts.members["account_id"].to_list() == ["a", "b"]
    assert facts.restrictions["account_id"].to_list() == ["b", None]


def test_an_unusual_change_of_value_is_said() -> None:
    assert page(told_of(world()))["anomaly"] is None
    row = {"account_id": ["a"], "residual_bps": [250.0], "score": [9.0], "nights": [12], "recent_bps": ["1.0"]}
    told = told_of(world(), anomalies=pl.DataFrame(row, schema=PUBLIC["anomalies"]))
    anomaly = page(told)["anomaly"]
    assert anomaly["score"] == 9.0
    assert anomaly["sentence"].startswith("It is worth 2.50% more than")


def test_a_quarantined_account_shows_its_broken_rows_and_nothing_that_was_not_worked_out() -> None:
    whole = told_of(world())
    broken = pl.DataFrame(
        {"table_name": ["lots"], "row_number": [7], "account_id": ["a"], "message": ["lots.csv row 7: quantity is -1"]},
        schema_overrides=PUBLIC["quarantine"],
    )
    gone = {name: frame.clear() for name, frame in whole.tables.items()} | {"quarantine": broken}
    facts = world(accounts="account_id\n b")
    outcome = {"account_id": "a", "outcome": "quarantined", "reason": "lots:quantity"}
    found = page(AccountRecord(RUN, outcome, gone, whole.household, facts, None))
    assert [row["message"] for row in found["quarantine"]] == ["lots.csv row 7: quantity is -1"]
    assert [found[name] for name in ("drift", "tax", "cash", "certificate", "proposal")] == [None] * 5
    assert found["account"]["custodian"] is None


def test_the_certificate_says_what_it_means() -> None:
    certificate = page(told_of(world()))["certificate"]
    apart = certificate["objective_usd"] - certificate["lower_bound_usd"]
    assert certificate["gap_usd"] == pytest.approx(apart)
    assert certificate_sentence(0.0123, 4567.891) == (
        "No other whole-share trade under the same rules could be better by more than 0.012 bps of NAV (4,567.89 USD)."
    )
    assert "0.012" not in certificate["sentence"]


def test_a_proposal_without_a_certificate_says_so() -> None:
    told = told_of(world())
    nothing = {name: pl.lit(None, pl.Float64) for name in ("objective_usd", "lower_bound_usd", "gap_bps")}
    without = replace(told, tables={**told.tables, "proposals": told.tables["proposals"].with_columns(**nothing)})
    certificate = page(without)["certificate"]
    assert {name: certificate[name] for name in (*nothing, "gap_usd")} == dict.fromkeys((*nothing, "gap_usd"))
    assert certificate["sentence"] == NO_CERTIFICATE
    assert certificate["parts"] == []


def test_the_price_of_cash_is_said_for_scarce_cash_and_for_surplus() -> None:
    assert "worth 12.3 bps" in price_of_cash_sentence(12.34)
    assert "worse off by 12.3 bps" in price_of_cash_sentence(-12.34)


def test_the_ledgers_state_and_decisions_are_on_the_page() -> None:
    told = told_of(world())
    queue = {
        "state": "approved",
        "submitter": "nightly",
        "approvals_needed": 1,
        "created_at": AS_OF,
        "state_changed_at": AS_OF,
        "expires_at": AS_OF,
        "export_id": None,
        "route": "review",
    }
    decided = ({"actor": "ann", "decision": "approve", "note": "fine", "decided_at": AS_OF, "content_hash": "x"},)
    found = page(AccountRecord(RUN, told.outcome, told.tables, told.household, told.facts, queue, decided))["proposal"]
    assert (found["state"], found["decisions"][0]["actor"], found["order_count"]) == (
        "approved",
        "ann",
        told.tables["orders"].height,
    )
    assert page(told)["proposal"]["state"] is None


def test_a_page_is_json_with_plain_numbers() -> None:
    found: Page = page(told_of(world()))
    assert json.loads(json.dumps(found, default=str))["drift"]["nav_usd"] == found["drift"]["nav_usd"]
    assert {type(leaf).__name__ for leaf in numbers(found)} <= {"str", "float", "int", "bool", "date", "NoneType"}


def frontier_rows(policy_drift: float, full_drift: float) -> pl.DataFrame:
    names = ["full", "sweep", "policy", "hold", "sweep"]
    drift = [full_drift, 0.02, policy_drift, 0.05, 0.03]
    return pl.DataFrame(
        {
            "account_id": ["a"] * 5,
            "scenario": names,
            "tracking_penalty": [1e4, 2.0, 1.0, 1.0, 0.5],
            "one_way_drift_after": drift,
            "est_tax_usd": [900, 10, 100, 0, 5],
            "est_cost_usd": [20, 1, 5, 0, 1],
        },
        schema_overrides={name: PUBLIC["frontier"][name] for name in ("est_tax_usd", "est_cost_usd")},
    )


def test_the_trade_off_is_listed_from_holding_to_the_targets_and_placed_in_a_sentence() -> None:
    section = frontier_section(frontier_rows(0.03, 0.01))
    assert section is not None
    assert [row["scenario"] for row in section["scenarios"]] == ["hold", "policy", "full", "sweep", "sweep"]
    assert [row["tracking_penalty"] for row in section["scenarios"][-2:]] == [0.5, 2.0]
    assert section["sentence"] == (
        "Policy's own trades leave 3.00% of drift for 105.00 USD of tax and cost; going to the full targets would remove"
        " another 2.00% of drift for 815.00 USD more."
    )


def test_where_the_full_targets_remove_no_more_the_sentence_says_so() -> None:
    section = frontier_section(frontier_rows(0.01, 0.01))
    assert section is not None
    assert section["sentence"].endswith("going to the full targets would remove no more.")
    assert frontier_section(frontier_rows(0.0, 0.0).clear()) is None


def test_a_tilt_is_said_with_the_model_that_it_is_from_and_what_is_not_done() -> None:
    rows = [("a", "stocks", 0.1, None), ("a", "cash", -0.05, None)]
    tilts = pl.DataFrame(rows, dtypes("tilts"), orient="row")
    found = page(told_of(world().with_tilts(tilts)))
    assert found["account"]["model_id"] == "m"
    assert [one["sentence"] for one in found["tilts"]] == [
        "cash is tilted by +0 % from model m, from 0 % to 0 %; of the tilt of -5.0 % only 0.0 % is done: the model has no more of it.",
        "stocks is tilted by +10 % from model m, from 60 % to 70 %.",
    ]
    assert page(told_of(world()))["tilts"] == []
