"""A run with rows set aside by the real gate's words: by contract, against the night before, twice the same, of nobody."""

import polars as pl

from tasks.core.gate import FilePlace
from tasks.core.gate.parsing import parse
from tasks.core.gate.rows import Checked, check_table, quarantine_rows
from tasks.review.quarantine import QuarantineStores, find_run
from tasks.review.review import Reader
from tests.support.landing_book import gated, parsed, rows_of, spoilt
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


def event_book() -> dict[str, pl.DataFrame]:
    """Two lots of BND whose cost only a person can confirm, one of STK without a price, and one of nobody's that could be account A3's."""
    found = spoilt("prices", 1, price_usd="x")
    found["lots"] = rows_of("""
        account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date
        A1         | BND         | 1      | 5.5      | 50000         | 2020-01-02
        A2         | STK         | 1      | 7        | 1             | 2021-03-04
        A3         | BND         | 1      | 3        | 50000         | 2022-05-06
        a3         | BND         | 2      | 3        | 50            | 2022-05-06
    """)
    return found


def _event() -> dict[str, pl.DataFrame]:
    common, own = gated(parsed(event_book()))
    return {
        "quarantine": pl.concat([common.quarantine, own.quarantine]),
        "gate": own.accounts.with_columns(outcome=pl.lit("quarantined")).select("account_id", "outcome", "reason"),
    }


EVENT = _event()
"""What the gate makes of that book: tables ``quarantine`` and ``gate``."""


def event_accounts() -> dict[str, str]:
    """Why each account of it is quarantined."""
    return dict(EVENT["gate"].select("account_id", "reason").iter_rows())


def read_event(table: str, _run_id: str) -> pl.DataFrame:
    """Tables of a run on that book, as a lake hands them over."""
    return released_before().clear() if table == "released_rows" else EVENT[table]
