"""The gate's care for indexes: one broken row, and the accounts that hold the index wait; so does one whose row is damaged or gone."""

from dataclasses import replace

import polars as pl
import pytest

from schemas.stored import INTERNAL
from tasks.core.gate.accounts import GatedAccounts, gate_accounts
from tasks.core.gate.causes import trace
from tasks.core.gate.history import History
from tasks.core.gate.reference_tables import gate_globals
from tests.support.history_book import book_then, history_of
from tests.support.landing_book import ACCOUNT_TABLES, AS_OF, GLOBAL_TABLES, parsed, rows_of

HEAD = "account_id | asset_class | index_id | tracking_budget | min_weight | exclude"
INDEX = "index_id | security_id | weight | weight_date"
SOUND = ("A1 | stocks | big | 0.05 | | OLD", "A2 | stocks | big | | |")
WEIGHTS = ("big | STK | 0.75 | 2026-01-02", "big | OLD | 0.25 | 2026-01-02", "debt | BND | 1 | 2025-12-31")


def judged(
    *rows: str,
    weights: tuple[str, ...] = WEIGHTS,
    history: History | None = None,
    released: frozenset[str] = frozenset(),
) -> tuple[GatedAccounts, pl.DataFrame]:
    """The accounts, and all that was set aside."""
    book = book_then() | {
        "direct_indexes": rows_of("\n".join([HEAD, *rows])),
        "index_weights": rows_of("\n".join([INDEX, *weights])),
    }
    tables = parsed(book)
    own = {name: each for name, each in tables.items() if name in {*ACCOUNT_TABLES, "direct_indexes"}}
    common = gate_globals({name: tables[name] for name in (*GLOBAL_TABLES, "index_weights")}, {}, AS_OF)
    found = gate_accounts(own, common, {}, AS_OF, history=history, released=released)
    return found, pl.concat([common.quarantine, found.quarantine])


def verdicts(*rows: str, **more: object) -> dict[str, str]:
    return dict(judged(*rows, **more)[0].accounts.rows())  # type: ignore[arg-type]


def test_sound_indexes_cost_nobody() -> None:
    found, aside = judged(*SOUND)
    assert (found.accounts.height, aside.height) == (0, 0)


@pytest.mark.parametrize(
    ("row", "rule", "said"),
    [
        (
            "A1 | stocks | small | | |",
            "index_known",
            "index_id is small; needed an index with good rows in the table index_weights, or nothing.",
        ),
        (
            "A1 | stocks | debt | | |",
            "index_of_class",
            "asset_class is stocks; needed bonds, the class of the securities of debt.",
        ),
        (
            "A1 | shares | big | | |",
            "asset_class_known",
            "asset_class is shares; needed a class that a model in the table model_targets has.",
        ),
        ("A1 | cash | | | |", "index_of_no_cash", "asset_class is cash; needed another class than cash."),
        (
            "A1 | stocks | big | 1.5 | |",
            "tracking_budget_between_0_and_1",
            "tracking_budget is 1.5; needed a number from 0 to 1.",
        ),
        (
            "A1 | stocks | big | some | |",
            "tracking_budget_readable",
            "tracking_budget is some; needed a finite number.",
        ),
        ("A1 | stocks | big | | -1 |", "min_weight_between_0_and_1", "min_weight is -1; needed a number from 0 to 1."),
        (
            "A1 | stocks | big | | | TOB",
            "excluded_known",
            "exclude is TOB; needed securities with good rows in the table securities.",
        ),
    ],
)
def test_a_damaged_row_costs_its_account_and_says_why(row: str, rule: str, said: str) -> None:
    found, aside = judged(row, SOUND[1])
    assert dict(found.accounts.rows()) == {"A1": f"direct_indexes:{rule}"}
    assert aside["message"].to_list() == [f"direct_indexes row 1: {said}"]


def test_two_indexes_of_a_class_cost_their_account() -> None:
    assert verdicts(*SOUND, "A1 | stocks | big | | |") == {"A1": "direct_indexes:unique_account_id_asset_class"}


@pytest.mark.parametrize(
    ("weights", "rule", "said"),
    [
        (
            ("big | STK | 0.75 | 2026-01-02", "big | OLD | 0.2 | 2026-01-02"),
            "index_weights_sum_to_one",
            "within 0.001, found a sum of 0.95.",
        ),
        (
            ("big | STK | 0.75 | 2026-01-02", "big | NEW | 0.25 | 2026-01-02"),
            "security_known",
            "a security with a good row in the table securities.",
        ),
        (
            ("big | STK | 0.75 | 2026-01-02", "big | BND | 0.25 | 2026-01-02"),
            "index_of_one_class",
            "a security of the class that the others of the index have.",
        ),
        (
            ("big | STK | 0.75 | 2026-01-02", "big | OLD | 0.25 | 2026-01-05"),
            "index_of_one_day",
            "the day that the other rows of the index have.",
        ),
        (
            ("big | STK | 0.75 | 2026-01-06", "big | OLD | 0.25 | 2026-01-06"),
            "weight_date_not_after_as_of",
            "not after the as-of date 2026-01-05.",
        ),
        (
            ("big | STK | 0.75 | 2025-09-26", "big | OLD | 0.25 | 2025-09-26"),
            "index_current",
            "weights of 2025-09-27 or later",
        ),
        (
            ("big | STK | 0.75 | 2026-01-02", "big | OLD | 0 | 2026-01-02"),
            "weight_above_0_to_1",
            "weight is 0; needed a number above 0 and up to 1.",
        ),
        (
            ("big | STK | 0.75 | 2026-01-02", "big | OLD | much | 2026-01-02"),
            "weight_readable",
            "needed a finite number.",
        ),
        (
            ("big | STK | 0.5 | 2026-01-02", "big | STK | 0.5 | 2026-01-02"),
            "unique_index_id_security_id",
            "a key that no other row of the table has.",
        ),
    ],
)
def test_an_index_is_used_whole_or_not_at_all(weights: tuple[str, ...], rule: str, said: str) -> None:
    """Whatever is wrong with one row of it: the accounts that hold it wait, and no other."""
    found, aside = judged("A1 | stocks | big | | |", "A2 | bonds | debt | | |", weights=(*weights, WEIGHTS[2]))
    assert dict(found.accounts.rows()) == {"A1": "direct_indexes:index_known"}
    broken = aside.filter(pl.col("table_name") == "index_weights")
    assert rule in "|".join(broken["broken_rules"]).split("|")
    assert said in "".join(broken["message"])
    causes = trace(aside, found.accounts.select("account_id", "reason")).causes.filter(pl.col("accounts") > 0)
    assert set(causes["table_name"]) == {"securities" if rule == "security_known" else "index_weights"}


def test_the_day_that_is_just_recent_enough_counts() -> None:
    assert verdicts(SOUND[1], weights=("big | STK | 1 | 2025-09-27",)) == {}


@pytest.mark.parametrize("row", [" | STK | 0.5 | 2026-01-02", "#1 | STK | 0.5 | 2026-01-02"])
def test_a_broken_row_of_an_index_that_cannot_be_read_costs_every_index(row: str) -> None:
    every = {"A1": "direct_indexes:index_known", "A2": "direct_indexes:index_known"}
    assert verdicts(SOUND[0], "A2 | bonds | debt | | |", weights=(*WEIGHTS, row)) == every


def test_a_row_that_could_be_a_respelling_costs_its_index_alone() -> None:
    found = verdicts(SOUND[0], "A2 | bonds | debt | | |", weights=(*WEIGHTS, "BIG | STK | much | 2026-01-02"))
    assert found == {"A1": "direct_indexes:index_known"}


@pytest.mark.parametrize("row", [" | | | ", "end of file | | | "])
def test_a_trailer_costs_nobody(row: str) -> None:
    assert verdicts(*SOUND, weights=(*WEIGHTS, row)) == {}


def test_a_row_of_a_class_that_names_no_account_could_be_anybodys() -> None:
    every = dict.fromkeys(("A1", "A2", "A3"), "direct_indexes:account_known")
    assert verdicts(" | stocks | big | | |") == every
    assert verdicts("a1 | stocks | big | | |") == {"A1": "direct_indexes:account_known"}
    assert verdicts("B7 | stocks | big | | |", " | | | | |") == {}


def held_then(*rows: tuple[str, str, str | None]) -> History:
    """The sound book as the night before, on which accounts held classes as indexes; null: had a tilt of it."""
    rules = pl.DataFrame(rows, {"account_id": pl.String, "asset_class": pl.String, "index_id": pl.String}, orient="row")
    kept = pl.concat([pl.DataFrame(schema=INTERNAL["carried_rules"]), rules], how="diagonal")
    return replace(history_of(book_then()), rules=kept)


def test_an_index_that_is_gone_has_its_account_wait_until_it_is_said_that_it_is_held_no_more() -> None:
    then = held_then(("A1", "stocks", "big"), ("A2", "stocks", "big"))
    found, aside = judged(SOUND[1], history=then)
    assert dict(found.accounts.rows()) == {"A1": "accounts:direct_index_kept"}
    (said,) = aside["message"]
    assert said.endswith(
        "index of stocks is empty, big on 2026-01-02; needed the row of the table direct_indexes, with a blank index_id where the class is "
        "held as no index any more, or a person who knows that it is not."
    )
    assert verdicts(SOUND[1], history=then, released=frozenset(aside["quarantine_id"])) == {}
    assert verdicts("A1 | stocks | | | |", SOUND[1], history=then) == {}


def test_a_tilt_does_not_stand_for_an_index_nor_an_index_for_a_tilt() -> None:
    then = held_then(("A1", "stocks", None), ("A2", "stocks", "big"))
    assert verdicts(*SOUND, history=then) == {"A1": "accounts:tilt_kept"}
