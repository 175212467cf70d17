"""The gate's care for tilts: a damaged row, and one that is gone, cost their account its night; what they exclude is not bought."""

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from schemas.landing_columns import dtypes
from schemas.stored import INTERNAL
from tasks.core.gate.accounts import GatedAccounts, gate_accounts
from tasks.core.gate.corporate_actions import Actions
from tasks.core.gate.history import History
from tasks.core.gate.restrictions import exclusions
from tests.support.history_book import book_then, history_of
from tests.support.landing_book import ACCOUNT_TABLES, AS_OF, gated_commons, parsed, rows_of

HEAD = "account_id | asset_class | delta_weight | exclude"
SOUND = ("A1 | stocks | 0.05 | OLD", "A2 | bonds | -0.02 |")


def judged(
    *rows: str, history: History | None = None, actions: Actions | None = None, released: frozenset[str] = frozenset()
) -> GatedAccounts:
    book = book_then() | {"tilts": rows_of("\n".join([HEAD, *rows]))}
    tables = parsed(book)
    own = {name: each for name, each in tables.items() if name in {*ACCOUNT_TABLES, "tilts"}}
    common = gated_commons(tables, {})
    return gate_accounts(own, common, {}, AS_OF, history=history, released=released, actions=actions)


def verdicts(found: GatedAccounts) -> dict[str, str]:
    return dict(found.accounts.rows())


def tilted_then(*rows: tuple[str, str]) -> History:
    """The sound book as the night before, on which accounts had tilts of classes."""
    rules = pl.DataFrame(rows, ["account_id", "asset_class"], orient="row")
    return replace(
        history_of(book_then()),
        rules=pl.concat([pl.DataFrame(schema=INTERNAL["carried_rules"]), rules], how="diagonal"),
    )


def test_sound_tilts_cost_nobody() -> None:
    assert verdicts(judged(*SOUND)) == {}


@pytest.mark.parametrize(
    ("row", "rule", "said"),
    [
        ("A1 | stocks | much |", "delta_weight_readable", "delta_weight is much; needed a finite number."),
        ("A1 | stocks | |", "delta_weight_required", "delta_weight is empty; needed a number from -1 to 1."),
        ("A1 | stocks | 1.5 |", "delta_weight_between_-1_and_1", "delta_weight is 1.5; needed a number from -1 to 1."),
        (
            "A1 | | 0.1 |",
            "asset_class_required",
            "asset_class is empty; needed 1 to 64 characters without a space at either end.",
        ),
        (
            "A1 | stoks | 0.1 |",
            "asset_class_known",
            "asset_class is stoks; needed a class that a model in the table model_targets has.",
        ),
        (
            "A1 | stocks | 0.1 | STK, BND",
            "exclude_identifiers",
            "exclude is STK, BND; needed identifiers joined by |, each 1 to 64 characters of A-Z a-z 0-9 . _ - (not . or .. alone).",
        ),
        (
            "A1 | stocks | 0.1 | STX",
            "excluded_known",
            "exclude is STX; needed securities with good rows in the table securities.",
        ),
    ],
)
def test_a_damaged_row_costs_its_account_and_says_why(row: str, rule: str, said: str) -> None:
    found = judged(row, SOUND[1])
    assert verdicts(found) == {"A1": f"tilts:{rule}"}
    assert found.quarantine["message"].to_list() == [f"tilts row 1: {said}"]


def test_two_tilts_of_a_class_cost_their_account() -> None:
    assert verdicts(judged(*SOUND, "A1 | stocks | 0.02 |")) == {"A1": "tilts:unique_account_id_asset_class"}


def test_a_row_of_no_account_costs_those_that_it_could_mean() -> None:
    assert verdicts(judged("a1 | stocks | 0.05 |")) == {"A1": "tilts:account_known"}
    assert verdicts(judged("B7 | stocks | 0.05 |")) == {}


@pytest.mark.parametrize("row", [" | stocks | 0.05 |", " | Stocks | much |", "#? | bonds | 0.1 |", "stocks | 0.05 | |"])
def test_a_row_of_a_class_that_names_no_account_could_be_anybodys(row: str) -> None:
    """As a restriction that names none: no account trades on part of what is known of it, whatever it had the night before."""
    everybody = dict.fromkeys(
        verdicts(judged("A1 | nothing | 0 |", "A2 | nothing | 0 |", "A3 | nothing | 0 |")), "tilts:account_known"
    )
    assert len(everybody) == 3
    assert verdicts(judged(row)) == everybody
    assert verdicts(judged(row, history=history_of(book_then()))) == everybody


@pytest.mark.parametrize("row", [" | | |", " | 3 rows | |", "total | | 0.05 |"])
def test_a_trailer_or_a_row_of_no_class_costs_nobody(row: str) -> None:
    assert verdicts(judged(row)) == {}


def test_a_tilt_that_is_gone_has_its_account_wait_for_a_person() -> None:
    then = tilted_then(("A1", "stocks"), ("A2", "bonds"))
    found = judged(SOUND[1], history=then)
    assert verdicts(found) == {"A1": "accounts:tilt_kept"}
    (said,) = found.quarantine["message"]
    assert said.endswith(
        "tilt of stocks is empty, there on 2026-01-02; needed the row of the table tilts, with a delta_weight of 0 where the tilt has "
        "ended, or a person who knows that it has."
    )
    released = frozenset(found.quarantine["quarantine_id"])
    assert verdicts(judged(SOUND[1], history=then, released=released)) == {}


@pytest.mark.parametrize("tonight", ["A1 | stocks | 0.05 |", "A1 | stocks | 0 |", "A1 | stocks | -0.4 | STK"])
def test_a_tilt_that_is_there_is_kept_whatever_it_says(tonight: str) -> None:
    assert verdicts(judged(tonight, history=tilted_then(("A1", "stocks")))) == {}


def test_a_broken_tilt_is_that_and_not_also_gone() -> None:
    found = judged("A1 | stocks | much |", history=tilted_then(("A1", "stocks")))
    assert verdicts(found) == {"A1": "tilts:delta_weight_readable"}


def test_a_security_may_be_excluded_under_the_name_that_it_had() -> None:
    rows = [
        {
            "security_id": "WAS",
            "effective_date": date(2026, 1, 5),
            "action": "identifier_change",
            "new_security_id": "STK",
        }
    ]
    actions = Actions(pl.DataFrame(rows).with_columns(ratio=pl.lit(1.0), is_meant=pl.lit(value=True)), AS_OF)
    assert verdicts(judged("A1 | stocks | 0 | WAS", actions=actions)) == {}
    assert verdicts(judged("A1 | stocks | 0 | WAS")) == {"A1": "tilts:excluded_known"}


def test_what_is_excluded_is_a_restriction_of_its_account() -> None:
    rows = parsed({"tilts": rows_of("\n".join([HEAD, *SOUND, "A1 | bonds | 0.1 |"]))})["tilts"]
    found = exclusions(rows.with_columns(exclude=pl.Series(["STK|OLD", None, "OLD"])))
    assert found.select("account_id", "security_id", "rule").rows() == [
        ("A1", "STK", "no_buy"),
        ("A1", "OLD", "no_buy"),
    ]
    assert found.schema == pl.Schema(dtypes("restrictions"))
    assert exclusions(rows.clear()).is_empty()
