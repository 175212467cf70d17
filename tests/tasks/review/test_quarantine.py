from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import DecisionRefused, WrongUsage
from tasks.review import quarantine
from tasks.review.quarantine import QuarantineFilter
from tasks.review.quarantine_release import plan_release, readmit_rows
from tests.support.ledger_book import NOW, new_run, staffed
from tests.support.quarantine_scene import id_of, read, released_before, stores
from tests.support.quarantine_scene import quarantine as rows_set_aside
from warehouse.ledger import Ledger

ROWS = rows_set_aside()
CASH = id_of(ROWS, "cash_explained")
LOT_ID = id_of(ROWS, "lot_id_identifier")
TWICE = id_of(ROWS, "unique_")
SPLIT = id_of(ROWS, "split_suspected")
BASIS = id_of(released_before(), "basis_unchanged")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = staffed(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger.runs.start_run(new_run("r0", day=1), NOW)
    ledger.runs.start_run(new_run("r1", day=2), NOW)
    yield ledger
    ledger.close()


def release(ledger: Ledger, *names: str, actor: str = "bob", note: str = "confirmed") -> list[str]:
    at = stores(ledger)
    return readmit_rows(at, plan_release(at, names), actor=actor, note=note, now=NOW)


def test_the_run_is_the_newest_or_the_one_named(ledger: Ledger) -> None:
    assert quarantine.find_run(ledger.runs, None).run_id == "r1"
    assert quarantine.find_run(ledger.runs, "r0").run_id == "r0"
    with pytest.raises(WrongUsage, match="there is no run r9"):
        quarantine.find_run(ledger.runs, "r9")


def test_a_ledger_without_runs_has_no_newest_one(tmp_path: Path) -> None:
    ledger = staffed(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    with pytest.raises(WrongUsage, match="there is no run yet"):
        quarantine.find_run(ledger.runs, None)
    ledger.close()


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (QuarantineFilter(), [("cash.csv", 1), ("=lots.csv", 2), ("more.csv", 1), ("more.csv", 2), ("more.csv", 3)]),
        (QuarantineFilter(table=("cash",)), [("cash.csv", 1)]),
        (QuarantineFilter(rule=("quantity_not_negative",)), [("=lots.csv", 2)]),
        (QuarantineFilter(rule=("quantity",)), []),
        (QuarantineFilter(account=("A2",)), [("more.csv", 1), ("more.csv", 2)]),
        (QuarantineFilter(account=("A3",), table=("lots",)), [("more.csv", 3)]),
    ],
)
def test_rows_set_aside_are_found_by_table_rule_and_account(
    ledger: Ledger, wanted: QuarantineFilter, places: list[tuple[str, int]]
) -> None:
    found = quarantine.set_aside(stores(ledger)).rows.filter(wanted.holds())

    assert found.select("file_name", "row_number").rows() == places


def test_only_rows_that_just_differ_from_the_night_before_can_be_released(ledger: Ledger) -> None:
    found = quarantine.set_aside(stores(ledger)).rows.filter(pl.col("is_releasable"))

    assert set(found["quarantine_id"]) == {CASH, SPLIT}


def test_rows_of_another_run_are_not_shown(ledger: Ledger) -> None:
    other = stores(ledger, "r0")

    assert quarantine.set_aside(other).rows.is_empty()
    assert quarantine.readmitted_rows(other).is_empty()


def test_a_row_is_named_by_a_beginning_that_fits_one() -> None:
    rows = pl.DataFrame({"quarantine_id": ["abcdef01", "abcdef02", "abcdef0", None]})

    assert quarantine.resolve(rows, ["abcdef02", "abcdef0", "abcdef02"]) == ["abcdef02", "abcdef0"]
    with pytest.raises(WrongUsage, match="several rows, abcdef0 and abcdef01"):
        quarantine.resolve(rows, ["abcdef"])
    with pytest.raises(WrongUsage, match="at least 6"):
        quarantine.resolve(rows, ["abcde"])
    with pytest.raises(WrongUsage, match=r"no quarantined row 123456\n\nHint: `trimtab quarantine list`"):
        quarantine.resolve(rows, ["123456"])


def test_a_row_is_shown_cell_by_cell_with_each_rules_own_sentence(ledger: Ledger) -> None:
    detail = quarantine.show(stores(ledger), LOT_ID[:6])

    assert (detail.quarantine_id, detail.table_name, detail.account_id) == (LOT_ID, "lots", "A1")
    assert detail.cells == {
        "account_id": "A1",
        "security_id": "BND",
        "lot_id": "a/b",
        "quantity": "-5",
        "unit_cost_usd": None,
        "acquired_date": "2020-01-02",
    }
    assert detail.places == ("=lots.csv row 2",)
    assert [(one.rule, one.is_releasable) for one in detail.rules] == [
        ("lot_id_identifier", False),
        ("quantity_not_negative", False),
    ]
    assert detail.rules[0].sentence.startswith("lot_id is a/b; needed 1 to 64 characters")
    assert detail.rules[1].sentence == "quantity is -5; needed a number of 0 or more."


def test_a_cell_that_quotes_the_place_does_not_break_the_sentences_apart(ledger: Ledger) -> None:
    tricky = ROWS.filter(pl.col("quarantine_id") == LOT_ID).with_columns(
        message=pl.lit("=lots.csv row 2: lot_id is =lots.csv row 2: x; needed y. =lots.csv row 2: quantity is -5.")
    )

    detail = quarantine.show(
        stores(ledger, read=lambda table, _: tricky if table == "quarantine" else read(table, "r1")), LOT_ID
    )

    assert {one.sentence for one in detail.rules} == {tricky["message"][0]}


def test_a_row_that_stands_twice_is_shown_once_with_both_places(ledger: Ledger) -> None:
    detail = quarantine.show(stores(ledger), TWICE)

    assert detail.places == ("more.csv row 1", "more.csv row 2")
    assert len(detail.rules) == 1


@pytest.mark.parametrize(
    ("row", "cost"),
    [
        (LOT_ID, "Account A1 is not traded in this run because of it."),
        (CASH, "Account A3 is not traded in this run because of it."),
        (SPLIT, "It does not keep account A3 from being traded."),
        (TWICE, "It does not keep account A2 from being traded."),
    ],
)
def test_what_a_row_costs_is_what_the_gate_made_of_its_account(ledger: Ledger, row: str, cost: str) -> None:
    assert quarantine.show(stores(ledger), row).cost == cost


def test_a_row_of_nobody_that_nobody_lacks_costs_nobody(ledger: Ledger) -> None:
    nobodys = ROWS.with_columns(account_id=pl.lit(None, pl.String))

    detail = quarantine.show(
        stores(ledger, read=lambda table, _: nobodys if table == "quarantine" else read(table, "r1")), CASH
    )

    assert detail.cost == "It keeps no account from being traded."


def test_a_row_says_how_it_can_be_released_or_that_its_source_must_be_mended(ledger: Ledger) -> None:
    again = "run the night again: `trimtab nightly --as-of 2026-07-02`."

    assert quarantine.show(stores(ledger), SPLIT).outlook == (
        f"A reviewer may release it, `trimtab quarantine release {SPLIT} --note WHY`; then {again}"
    )
    lasting = quarantine.show(stores(ledger), LOT_ID).outlook
    assert lasting.startswith("It cannot be released: lot_id_identifier, quantity_not_negative cannot be waved through")
    assert lasting.endswith(f"Mend the row at its source, then {again}")


def test_a_released_row_says_who_let_it_pass_and_from_when_that_counts(ledger: Ledger) -> None:
    release(ledger, SPLIT, BASIS)

    aside, used = (quarantine.show(stores(ledger), row).outlook for row in (SPLIT, BASIS))

    by = "Released by bob on 2026-07-01 22:00 UTC (confirmed); "
    assert aside == f"{by}that counts once you run the night again: `trimtab nightly --as-of 2026-07-02`."
    assert used == f"{by}this run used it."
    found = quarantine.set_aside(stores(ledger)).rows
    assert dict(found.filter(pl.col("released_by").is_not_null()).select("quarantine_id", "released_by").rows()) == {
        SPLIT: "bob"
    }


def test_releasing_is_by_name_for_the_nights_date_and_once(ledger: Ledger) -> None:
    assert release(ledger, SPLIT[:8], CASH) == sorted([SPLIT, CASH])
    assert release(ledger, SPLIT, actor="cat", note="me too") == []

    released = ledger.readmissions.released_rows(date(2026, 7, 2))
    assert sorted(released.select("quarantine_id", "actor", "broken_rules").rows()) == sorted(
        [(SPLIT, "bob", "quantity_explained|split_suspected"), (CASH, "bob", "cash_explained")]
    )
    assert ledger.readmissions.released_rows(date(2026, 7, 1)).is_empty()


def test_a_row_that_breaks_its_contract_is_never_released_nor_is_any_beside_it(ledger: Ledger) -> None:
    refusal = rf"nothing was released: {LOT_ID} \(=lots.csv row 2\) breaks lot_id_identifier, quantity_not_negative"
    with pytest.raises(DecisionRefused, match=refusal):
        release(ledger, SPLIT, LOT_ID)

    assert ledger.readmissions.released_rows(date(2026, 7, 2)).is_empty()


def test_a_row_that_also_breaks_its_contract_is_not_released(ledger: Ledger) -> None:
    both = ROWS.with_columns(broken_rules=pl.concat_str("broken_rules", pl.lit("|quantity_not_negative")))

    at = stores(ledger, read=lambda table, _: both if table == "quarantine" else read(table, "r1"))

    with pytest.raises(DecisionRefused, match="breaks quantity_not_negative,"):
        plan_release(at, [SPLIT])


def test_releasing_takes_a_role_and_a_note(ledger: Ledger) -> None:
    with pytest.raises(DecisionRefused, match="vic has the role viewer"):
        release(ledger, SPLIT, actor="vic")
    with pytest.raises(WrongUsage, match="note"):
        release(ledger, SPLIT, note=" ")
    assert ledger.readmissions.released_rows(date(2026, 7, 2)).is_empty()
