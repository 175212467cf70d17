"""Rows that name an account well and mean none of ours are somebody else's; the others stay for the gate to judge."""

import polars as pl

from tasks.core.gate.strays import without_foreign
from tests.support.landing_book import parsed, rows_of

LOTS = """
    account_id | security_id | lot_id | quantity
    A1         | STK         | 1      | 10
    a1         | STK         | 2      | 1
    Z9         | STK         | 1      | 5
    A 1        | STK         | 3      | 1
               | STK         | 4      | 1
"""


def test_rows_of_accounts_that_are_none_of_ours_are_left_out_of_every_table_but_that_of_accounts() -> None:
    tables = parsed({"accounts": rows_of("account_id\n A1\n Z9"), "lots": rows_of(LOTS)})
    left = without_foreign(tables, pl.Series(["A1"]))
    assert left["lots"]["account_id"].to_list() == ["A1", "a1", "A 1", None]
    assert left["accounts"].equals(tables["accounts"])
