"""What is gone of the four tables about what may be traded: all of it is found, and nothing that ended by itself."""

import json
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.enums import Guard
from tasks.core.guards import WATCHED, Vanished, lost_rows, row_names, vanished_rows
from tests.support.landing_book import parsed, rows_of

THEN, TRADES = date(2026, 1, 2), date(2026, 1, 6)
MODELS = ("m1", "m2")
SUBJECTS = {
    "accounts": rows_of("account_id | household_id\n" + "\n".join(f"A{n} | H{n % 4}" for n in range(12))),
    "securities": rows_of("security_id\n" + "\n".join(f"S{n}" for n in range(6))),
    "model_targets": rows_of("model_id | asset_class\n" + "\n".join(f"{m} | C{n}" for m in MODELS for n in range(3))),
}
ROWS = {
    "restrictions": [f"A{n} | S{n % 6} | no_sell |" for n in range(12)]
    + [" | S0 | no_trade |", "A1 | S1 | no_buy | 2026-01-05"],
    "households": [f"H{n}" for n in range(4)],
    "buy_list": [f"{m} | C{n} | S{(n + k) % 6} | {k}" for m in MODELS for n in range(3) for k in range(2)],
    "location_preferences": [f"{m} | C{n} | taxable" for m in MODELS for n in range(3)],
}
HEADS = {
    "restrictions": "account_id | security_id | rule | until_date",
    "households": "household_id",
    "buy_list": "model_id | asset_class | security_id | rank",
    "location_preferences": "model_id | asset_class | tax_status",
}
ENDED = ("restrictions", 13)
"""Its last day is before the orders trade."""


def book(without: set[tuple[str, int]] = frozenset(), gone: set[str] = frozenset()) -> dict[str, pl.DataFrame]:  # type: ignore[assignment]
    """The tables without some rows (0 = first), and without some names where what rows name must still be."""
    kept = {
        table: "\n".join([HEADS[table], *(row for n, row in enumerate(rows) if (table, n) not in without)])
        for table, rows in ROWS.items()
    }
    lost = pl.all().is_in(sorted(gone)).fill_null(value=False)
    subjects = {table: rows.with_columns(pl.when(~lost).then(pl.all())) for table, rows in SUBJECTS.items()}
    return subjects | parsed({table: rows_of(text) for table, text in kept.items()})


def found(without: set[tuple[str, int]], gone: set[str] = frozenset()) -> Vanished:  # type: ignore[assignment]
    then = book()
    return vanished_rows({name: then[name] for name in WATCHED}, book(without, gone), THEN, TRADES)


def named(table: str, row: str) -> set[str]:
    """What a row names that must still be delivered for it to matter."""
    cells = [cell.strip() for cell in row.split("|")]
    match table:
        case "restrictions":
            return {*cells[:2]} - {""}
        case "households":
            return {cells[0]}
        case "buy_list":
            return {cells[0], cells[1], cells[2]}
        case _:
            return {cells[0], cells[1]}


all_rows = st.sampled_from([(table, n) for table, rows in ROWS.items() for n in range(len(rows))])


@given(st.sets(all_rows, max_size=30), st.sets(st.sampled_from(["A1", "A2", "S3", "H2", "m2", "C1"]), max_size=2))
def test_every_row_that_could_still_hold_is_missed_and_no_other(without: set[tuple[str, int]], gone: set[str]) -> None:
    lacking = found(without, gone)
    expected = {
        (table, ROWS[table][n])
        for table, n in without
        if not named(table, ROWS[table][n]) & gone and (table, n) != ENDED and not _is_covered(table, n, without)
    }
    assert {(table, _line(table, row)) for table, row in lacking.rows.select("table_name", "row").rows()} == {
        (table, "|".join(cell.strip() for cell in row.split("|"))) for table, row in expected
    }
    for table in WATCHED:
        assert lacking.expected[table] >= lacking.of(table).height
        is_empty = all((table, n) in without for n in range(len(ROWS[table])))
        assert (table in lacking.emptied) == (is_empty and lacking.of(table).height > 0)


def _is_covered(table: str, n: int, without: set[tuple[str, int]]) -> bool:
    """One restriction for everyone forbids all trade of S0."""
    return table == "restrictions" and "| S0 |" in ROWS[table][n] and n < 12 and ("restrictions", 12) not in without


def _line(table: str, row: str) -> str:
    cells: dict[str, Any] = json.loads(row)
    return "|".join(str(cells[name]) if cells[name] is not None else "" for name in HEADS[table].split(" | "))


def held_by(lacking: Vanished, most: float | None = 0.2, *, min_rows: int = 2) -> list[str]:
    findings = lost_rows(lacking, most, min_rows=min_rows)
    assert {finding.guard for finding in findings} <= {Guard.LOST_ROWS}
    return [finding.sentence for finding in findings]


@pytest.mark.parametrize("table", WATCHED)
def test_a_table_that_was_emptied_holds_the_run_however_small_it_was(table: str) -> None:
    said = held_by(found({(table, n) for n in range(len(ROWS[table]))}), None, min_rows=1000)
    assert any(sentence.startswith(f"{table} has no row; the last night had ") for sentence in said)


@pytest.mark.parametrize("table", WATCHED)
def test_so_does_one_that_shrank_by_more_than_its_share_and_more_than_a_few_rows(table: str) -> None:
    some = {(table, n) for n in range(1, len(ROWS[table]) - 1, 2)} - {ENDED}
    lacking = found(some)
    said = [text for text in held_by(lacking, 0.2, min_rows=0) if f"rows of {table} that would still hold" in text]
    assert len(said) == 1
    assert not [text for text in held_by(lacking, 0.2, min_rows=20) if "rows of" in text], (
        "so few are looked at one by one"
    )
    assert not [text for text in held_by(lacking, 0.9, min_rows=0) if "rows of" in text]


def test_a_restriction_for_everyone_and_the_last_choice_of_a_class_hold_the_run() -> None:
    lacking = found({("restrictions", 12), ("buy_list", 0), ("buy_list", 1), ("buy_list", 2)})
    assert held_by(lacking, None) == [
        "restrictions for every account are gone: no_trade of S0",
        "nothing of the last night's buy_list is left for m1/C0",
    ]


def test_what_is_said_of_rows_names_no_account() -> None:
    lacking = found(
        {("restrictions", 1), ("restrictions", 2), ("buy_list", 0), ("location_preferences", 5), ("households", 1)}
    )
    assert [row_names(lacking.of(table)) for table in WATCHED] == [
        "no_sell of S1, no_sell of S2",
        "",
        "S0 for m1/C0",
        "m2/C2 in taxable",
    ]
