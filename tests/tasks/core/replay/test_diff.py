"""Two states of a table: the same whatever the order of rows, else what differs, by key and cell."""

import math
from decimal import Decimal
from random import Random

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.replay.diff import ROW, SAMPLES, Cell, TableDiff, compare, key_of, merge_diffs

ORDERS = pl.DataFrame(
    {
        "order_id": ["o1", "o2", "o3"],
        "quantity": [Decimal("1.5"), Decimal(2), None],
        "benefit": [0.1, float("nan"), None],
    }
)


def with_cell(row: int, column: str, value: object) -> pl.DataFrame:
    cells = ORDERS[column].to_list()
    cells[row] = value
    return ORDERS.with_columns(pl.Series(column, cells, ORDERS.schema[column]))


def test_the_same_rows_in_another_order_are_the_same() -> None:
    assert compare("orders", ORDERS, ORDERS.reverse()) == TableDiff("orders", 3)


def test_a_cell_is_told_by_key_and_column() -> None:
    found = compare("orders", ORDERS, with_cell(1, "quantity", Decimal(3)))
    assert (found.missing, found.added, found.changed, found.cells) == (0, 0, 1, 1)
    assert found.samples == (Cell({"order_id": "o2"}, "quantity", Decimal(2), Decimal(3)),)


def test_a_null_differs_from_a_value() -> None:
    found = compare("orders", ORDERS, with_cell(0, "quantity", None))
    assert [(cell.then, cell.now) for cell in found.samples] == [(Decimal("1.5"), None)]


def test_a_float_differs_in_its_last_bit() -> None:
    found = compare("orders", ORDERS, with_cell(0, "benefit", math.nextafter(0.1, 1)))
    assert (found.changed, found.cells, found.samples[0].column) == (1, 1, "benefit")


def test_zero_and_minus_zero_differ() -> None:
    assert not compare("orders", with_cell(0, "benefit", 0.0), with_cell(0, "benefit", -0.0)).is_same


def test_a_row_on_one_side_alone_is_missing_or_added() -> None:
    found = compare("orders", ORDERS, ORDERS[:2])
    assert (found.missing, found.added, found.changed) == (1, 0, 0)
    assert found.samples == (Cell({"order_id": "o3"}, ROW, "is there", None),)
    assert compare("orders", ORDERS[:2], ORDERS).added == 1


def test_a_row_that_stands_twice_differs_from_one_that_stands_once() -> None:
    found = compare("orders", ORDERS, pl.concat([ORDERS, ORDERS[:1]]))
    assert (found.missing, found.added, found.changed) == (0, 1, 0)


def test_rows_of_a_key_that_is_not_unique_are_whole_rows() -> None:
    twice = pl.DataFrame({"order_id": ["o", "o"], "n": [1, 2]})
    found = compare("orders", twice, twice.with_columns(n=pl.col("n") + 5))
    assert (found.missing, found.added, found.changed) == (2, 2, 0)
    assert compare("orders", twice, twice.reverse()).is_same


def test_a_table_without_a_known_key_is_compared_by_whole_rows() -> None:
    found = compare("always_review", pl.DataFrame({"reason": ["a"]}), pl.DataFrame({"reason": ["b"]}))
    assert (found.missing, found.added) == (1, 1)
    assert found.samples[0].key == {"reason": "a"}


def test_landed_rows_go_by_their_number_and_others_by_account() -> None:
    assert key_of("landed_lots", ["account_id", "row_number"]) == ("row_number",)
    assert key_of("gate", ["account_id", "outcome"]) == ("account_id",)
    assert key_of("orders", ["account_id"]) == ()


def test_only_the_first_few_cells_are_told_and_all_are_counted() -> None:
    many = pl.DataFrame({"order_id": [f"o{n:02}" for n in range(20)], "n": range(20)})
    found = compare("orders", many, many.with_columns(pl.col("n") + 1))
    assert (found.changed, found.cells, len(found.samples)) == (20, 20, SAMPLES)
    assert found.samples[0].key == {"order_id": "o00"}


def test_shards_of_a_table_are_told_together() -> None:
    one = compare("orders", ORDERS, with_cell(0, "quantity", Decimal(9)))
    (both,) = merge_diffs([one, compare("orders", ORDERS, ORDERS[:2])])
    assert (both.rows, both.missing, both.changed, both.cells, len(both.samples)) == (6, 1, 1, 1, 2)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.floats()), max_size=6), st.randoms(use_true_random=False)
)
def test_rows_are_the_same_as_themselves_shuffled_and_differ_without_one(
    rows: list[tuple[str, float | None]], random: Random
) -> None:
    shuffled = random.sample(rows, len(rows))
    schema = {"order_id": pl.String, "x": pl.Float64}
    then, now = (pl.DataFrame(each, schema=schema, orient="row") for each in (rows, shuffled))
    assert compare("orders", then, now).is_same
    if rows:
        assert compare("orders", then, now[1:]).missing == 1
