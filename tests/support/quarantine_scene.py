"""A run with rows set aside by the real gate's words: by contract, against the night before, twice the same, of nobody."""

import polars as pl

from tasks.core.gate import FilePlace
from tasks.core.gate.parsing import parse
from tasks.core.gate.rows import Checked, check_table, quarantine_rows
from tasks.review.quarantine import QuarantineStores, find_run
from tasks.review.review import Reader
from tests.support.landing_book import rows_of
from warehouse.ledger import Ledger

PLACES = {"lots": (FilePlace("=lots.csv", 1), FilePlace("more.csv", 3)), "cash": (FilePlace("cash.csv", 1),)}
LOTS = """
    account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date
    A1         | STK         | 1      | 10       | 90            | 2020-01-02
    A1         | BND         | a/b    | -5       |               | 2020-01-02
    A2         | STK         | 7      | 3        | 1             | 2020-01-02
    A2         | STK         | 7      | 3        | 1             | 2020-01-02
    A3         | STK         | 1      | 4000     | 1             | 2020-01-02
"""
CASH = """
    account_id | settled_usd | pending_usd
    A3         | 900000      | 0
"""
GATE = pl.DataFrame(
    {
        "account_id": ["A1", "A3"],
        "outcome": ["quarantined", "quarantined"],
        "reason": ["lots:lot_id_identifier|lots:quantity_not_negative", "cash:cash_explained"],
    }
)


def broken(rows: pl.DataFrame, number: int, *rules: tuple[str, str]) -> pl.DataFrame:
    """Rules broken by a landed row."""
    return pl.DataFrame([(number, *rule) for rule in rules], schema=rows.schema, orient="row")


def quarantine() -> pl.DataFrame:
    lots = check_table("lots", parse("lots", rows_of(LOTS), is_text=True))
    cash = check_table("cash", parse("cash", rows_of(CASH), is_text=True))
    more = broken(lots.broken, 5, ("quantity_explained", "quantity is 4000, 4 on 2026-06-30; needed a trade."))
    split = broken(lots.broken, 5, ("split_suspected", "quantity is 4000; 1000 for 1 would explain it."))
    moved = broken(lots.broken, 1, ("cash_explained", "settled_usd is 900000; needed a change that trades explain."))
    return quarantine_rows([lots.with_broken(more, split), cash.with_broken(moved)], PLACES)


def released_before() -> pl.DataFrame:
    """One row that the run used though it broke a rule."""
    checked = check_table("lots", parse("lots", rows_of(LOTS).head(1), is_text=True))
    rows = quarantine_rows(
        [Checked("lots", checked.rows, broken(checked.broken, 1, ("basis_unchanged", "unit_cost_usd is 90; 9 then.")))],
        PLACES,
    )
    words = {"released_by": "bob", "release_note": "a return of capital", "released_at": "2026-07-01T21:00:00Z"}
    return rows.with_columns(pl.lit(text).alias(name) for name, text in words.items())


def id_of(rows: pl.DataFrame, rule: str) -> str:
    """The name of the row that broke the rule."""
    return str(rows.filter(pl.col("broken_rules").str.contains(rule))["quarantine_id"][0])


def read(table: str, run_id: str) -> pl.DataFrame:
    """Tables of run r1, as a lake hands them over; another run has none."""
    rows = {"quarantine": quarantine, "released_rows": released_before, "gate": lambda: GATE}[table]()
    return rows if run_id == "r1" else rows.clear()


def read_account(table: str, run_id: str, account_id: str) -> pl.DataFrame:
    """Of ``landed_accounts`` who holds the account."""
    assert (table, run_id) == ("landed_accounts", "r1")
    return pl.DataFrame({"account_id": [account_id], "custodian": ["Acme"]})


def stores(ledger: Ledger, run_id: str | None = "r1", read: Reader = read) -> QuarantineStores:
    """What a run set aside, from a ledger and the tables that ``read`` hands over."""
    run = find_run(ledger.runs, run_id)
    return QuarantineStores(ledger.readmissions, ledger.runs, ledger.inputs, read, read_account, run)
