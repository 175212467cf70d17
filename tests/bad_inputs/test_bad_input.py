"""What a night does with input that is wrong: each case names the file, the column, the row and what was expected."""

from pathlib import Path

import polars as pl
import pytest

from schemas.errors import InputRefused
from tasks.core.gate import Gated, GatedAccounts, gate_accounts, gate_globals, whole_files
from tasks.core.gate.parsing import parse
from tasks.formats.contract_file import read_table
from tests.support.landing_book import (
    ACCOUNT_TABLES,
    AS_OF,
    GLOBAL_TABLES,
    landing_paths,
    sound_book,
    spoilt,
    write_book,
)

KINDS = pytest.mark.parametrize("kind", ["csv", "parquet"])


def delivered(folder: Path) -> tuple[Gated, GatedAccounts]:
    """The folder, read, parsed and gated."""
    paths = landing_paths(folder)
    raw = {table: read_table(table, path) for table, path in paths.items()}
    tables = {table: parse(table, rows.frame, is_text=rows.is_text) for table, rows in raw.items()}
    places = whole_files({table: path.name for table, path in paths.items()})
    common = gate_globals({table: rows for table, rows in tables.items() if table in GLOBAL_TABLES}, places, AS_OF)
    return common, gate_accounts({table: tables[table] for table in ACCOUNT_TABLES}, common, places, AS_OF)


def deliver(folder: Path, book: dict[str, pl.DataFrame], kind: str) -> tuple[dict[str, str], list[str]]:
    """Verdicts and messages of the book delivered as files of that kind."""
    write_book(folder, book, kind)
    common, own = delivered(folder)
    return dict(own.accounts.rows()), [*common.quarantine["message"], *own.quarantine["message"]]


@KINDS
def test_a_sound_book_passes(tmp_path: Path, kind: str) -> None:
    assert deliver(tmp_path, sound_book(), kind) == ({}, [])


@KINDS
def test_a_missing_column_refuses_the_night(tmp_path: Path, kind: str) -> None:
    book = sound_book()
    book["lots"] = book["lots"].drop("quantity")
    with pytest.raises(
        InputRefused,
        match=rf"lots\.{kind} has no column quantity; needed quantity: how many shares, or the face amount of a bond, a number of 0 or more",
    ):
        deliver(tmp_path, book, kind)


@KINDS
def test_an_unreadable_file_refuses_the_night(tmp_path: Path, kind: str) -> None:
    write_book(tmp_path, sound_book(), kind)
    (tmp_path / f"lots.{kind}").write_bytes(b"\x00\xff\xfe junk \x80\x81")
    with pytest.raises(
        InputRefused, match=rf"lots\.{kind} cannot be read as .*needed the table lots: columns account_id"
    ):
        delivered(tmp_path)


@KINDS
def test_an_empty_file_refuses_the_night(tmp_path: Path, kind: str) -> None:
    write_book(tmp_path, sound_book(), kind)
    (tmp_path / f"prices.{kind}").write_bytes(b"")
    with pytest.raises(
        InputRefused, match=rf"prices\.{kind} is empty \(0 bytes\); needed the table prices: columns security_id"
    ):
        delivered(tmp_path)


@KINDS
def test_a_model_that_does_not_sum_to_one_costs_its_accounts(tmp_path: Path, kind: str) -> None:
    verdicts, messages = deliver(tmp_path, spoilt("model_targets", 4, target_weight="0.8"), kind)
    assert verdicts == {"A3": "accounts:model_known"}
    assert (
        f"model_targets.{kind} row 4: model_id is income; needed target_weight to sum to 1 within 1e-06, found a sum of 0.9."
        in messages
    )


@KINDS
def test_an_unknown_security_costs_its_holder(tmp_path: Path, kind: str) -> None:
    verdicts, messages = deliver(tmp_path, spoilt("lots", 4, security_id="GHOST"), kind)
    assert verdicts == {"A3": "lots:security_known"}
    assert messages == [
        f"lots.{kind} row 4: security_id is GHOST; needed a security with a good row in the table securities."
    ]


@KINDS
def test_a_negative_price_costs_the_holders_of_the_security(tmp_path: Path, kind: str) -> None:
    verdicts, messages = deliver(tmp_path, spoilt("prices", 1, price_usd="-101.25"), kind)
    assert set(verdicts) == {"A1", "A2"}
    assert messages[0] == f"prices.{kind} row 1: price_usd is -101.25; needed a number of 0 or more."


@KINDS
def test_a_duplicate_lot_costs_its_account_and_both_rows(tmp_path: Path, kind: str) -> None:
    book = sound_book()
    book["lots"] = pl.concat([book["lots"], book["lots"].tail(1)])
    verdicts, messages = deliver(tmp_path, book, kind)
    assert verdicts == {"A3": "lots:unique_account_id_security_id_lot_id"}
    assert messages == [
        f"lots.{kind} row {row}: account_id, security_id, lot_id is A3, BND, 1; "
        "needed a key that no other row of the table has."
        for row in (4, 5)
    ]


@KINDS
def test_a_path_as_account_identifier_never_gets_through(tmp_path: Path, kind: str) -> None:
    book = sound_book()
    for table in ACCOUNT_TABLES:
        book[table] = book[table].with_columns(pl.col("account_id").replace("A3", "../x"))
    verdicts, messages = deliver(tmp_path, book, kind)
    assert set(verdicts) == {"../x"}
    assert (
        f"accounts.{kind} row 3: account_id is ../x; needed 1 to 64 characters of A-Z a-z 0-9 . _ - (not . or .. alone)."
        in messages
    )


@KINDS
@pytest.mark.parametrize("cell", ["NaN", "inf", "-inf"])
def test_a_quantity_that_is_not_finite_costs_its_account(tmp_path: Path, kind: str, cell: str) -> None:
    verdicts, messages = deliver(tmp_path, spoilt("lots", 3, quantity=cell), kind)
    assert verdicts == {"A2": "lots:quantity_readable"}
    assert messages == [
        f"lots.{kind} row 3: quantity is {cell}; needed a number of at most 12 digits before the point and 6 after it."
    ]


def test_a_line_cut_short_costs_its_account(tmp_path: Path) -> None:
    write_book(tmp_path, sound_book(), "csv")
    path = tmp_path / "lots.csv"
    path.write_text(path.read_text().replace("A3,BND,1,3,50,2022-05-06", "A3,BND,1"))
    common, own = delivered(tmp_path)
    assert common.quarantine.is_empty()
    assert own.accounts.rows() == [("A3", "lots:line_complete")]
    assert own.quarantine["message"].to_list() == [
        "lots.csv row 4: line is A3,BND,1; needed as many cells as the header has columns."
    ]
