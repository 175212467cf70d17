"""First lines that do not name the columns: the night is refused, with what was needed and what may have happened."""

from pathlib import Path

import polars as pl
import pytest

from tests.bad_inputs.deliver import Spoil, content, delivered, edit, replace
from tests.support.landing_book import sound_book, write_book

LOTS = sound_book()["lots"].write_csv()
_, ROWS = LOTS.split("\n", 1)
CASH = b"account_id,settled_usd,pending_usd"
IDENTIFIER = "1 to 64 characters of A-Z a-z 0-9 . _ - (not . or .. alone)"
NO_ACCOUNT = f"lots.csv has no column account_id; needed account_id: the account the row belongs to, {IDENTIFIER}"
NO_QUANTITY = "lots.csv has no column quantity; needed quantity: how many shares, or the face amount of a bond, a number of 0 or more"
NO_NAME = f"{NO_ACCOUNT}\n\nHint: its first line names no column of the table; it must name them all, in English as written here."
NO_HEADER = "needed the names of the columns"
OPEN = (
    f"lots.csv has a quote in its first line that is not closed there; {NO_HEADER}\n\n"
    'Hint: look for a missing closing quote ("), or a name with a line break.'
)
LONG = f"lots.csv has a first line longer than 65536 bytes; {NO_HEADER}\n\nHint: the file may be binary, or may have lost its line ends."
REST = "security_id, lot_id, quantity, unit_cost_usd, acquired_date"


def found(first: str) -> str:
    return f"{NO_ACCOUNT}\n\nHint: did you mean {first}? columns found: {first}, {REST}."


def lots(text: str) -> Spoil:
    return content("lots.csv", text.encode())


REFUSED: dict[str, tuple[Spoil, str]] = {
    "a column missing": (
        replace("lots.csv", ",quantity", ""),
        f"{NO_QUANTITY}\n\nHint: columns found: account_id, security_id, lot_id, unit_cost_usd, acquired_date.",
    ),
    "a column misspelt": (
        replace("lots.csv", "quantity", "quantitiy"),
        (
            f"{NO_QUANTITY}\n\nHint: did you mean quantitiy? columns found: "
            "account_id, security_id, lot_id, quantitiy, unit_cost_usd, acquired_date."
        ),
    ),
    "capital letters": (replace("lots.csv", "account_id", "Account_ID"), found("Account_ID")),
    "a space for an underscore": (replace("lots.csv", "account_id", "account id"), found("account id")),
    "camel case": (replace("lots.csv", "account_id", "accountId"), found("accountId")),
    "a control character in a name": (replace("lots.csv", "account_id", "account\x1b[2J_id"), found("account?[2J_id")),
    "a column twice": (
        replace("lots.csv", "lot_id", "lot_id,lot_id"),
        "lots.csv has the column lot_id more than once; needed each column once",
    ),
    "a column twice, once with a space": (
        replace("lots.csv", "lot_id", "lot_id, lot_id"),
        "lots.csv has the column lot_id more than once; needed each column once",
    ),
    "semicolons": (
        edit("lots.csv", lambda text: text.replace(",", ";")),
        f"{NO_ACCOUNT}\n\nHint: its cells are separated by semicolons; separate them by commas.",
    ),
    "tabs": (
        edit("lots.csv", lambda text: text.replace(",", "\t")),
        f"{NO_ACCOUNT}\n\nHint: its cells are separated by tabs; separate them by commas.",
    ),
    "bars": (
        edit("lots.csv", lambda text: text.replace(",", "|")),
        f"{NO_ACCOUNT}\n\nHint: its cells are separated by bars; separate them by commas.",
    ),
    "no header": (lots(ROWS), NO_NAME),
    "a title above the header": (lots(f"Holdings of 2026-01-05\n{LOTS}"), NO_NAME),
    "a comment above the header": (lots(f"# made by hand\n{LOTS}"), NO_NAME),
    "Excel's word on separators": (lots(f"sep=,\n{LOTS}"), NO_NAME),
    "names in German": (lots(f"Konto,Wertpapier,Los,Menge,Einstand,Datum\n{ROWS}"), NO_NAME),
    "an empty line above the header": (lots(f"\n{LOTS}"), f"lots.csv has an empty first line; {NO_HEADER}"),
    "nothing but commas": (lots(f",,,,,\n{ROWS}"), f"lots.csv has an empty first line; {NO_HEADER}"),
    "a quote left open": (replace("lots.csv", "lot_id", '"lot_id'), OPEN),
    "a line break in a name": (replace("lots.csv", "lot_id", 'lot_id,"two\nlines"'), OPEN),
    "a first line without end": (lots("account_id," * 7000), LONG),
    "a header and no rows": (
        content("cash.csv", CASH),
        "cash.csv has no rows; needed at least one row of the table cash",
    ),
    "a header and empty lines": (
        content("cash.csv", CASH + b"\n\r\n\n"),
        "cash.csv has no rows; needed at least one row of the table cash",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_header_that_does_not_fit_refuses_the_night(tmp_path: Path, name: str) -> None:
    spoil, refusal = REFUSED[name]
    assert delivered(tmp_path, spoil).refusal == refusal


def test_a_file_without_a_header_does_not_get_its_rows_into_the_message(tmp_path: Path) -> None:
    refusal = delivered(tmp_path, lots("A1,STK,1,10,90,2020-01-02\n")).refusal
    assert not any(cell in refusal for cell in ("A1", "STK", "2020"))


def other_order(folder: Path) -> None:
    rows = sound_book()["lots"]
    write_book(folder, {"lots": rows.select(reversed(rows.columns))}, "csv")


SOUND: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "columns in another order": (other_order, ()),
    "spaces around a name": (replace("lots.csv", "account_id", " account_id "), ()),
    "names in quotes": (replace("lots.csv", "account_id,security_id", '"account_id","security_id"'), ()),
    "a column nobody asked for": (
        edit("lots.csv", lambda text: text.replace("\n", ",x\n")),
        ("lots.csv: the column x is ignored",),
    ),
    "a comma at the end of every line": (
        edit("lots.csv", lambda text: text.replace("\n", ",\n")),
        ("lots.csv: the column (column 7) is ignored",),
    ),
    "an optional table without rows": (
        content("trades.csv", b"account_id,security_id,trade_date,side,quantity,price_usd,realized_gain_usd\n"),
        (),
    ),
    "a thousand columns nobody asked for": (
        edit("lots.csv", lambda text: text.replace("\n", "".join(f",x{n}" for n in range(1000)) + "\n")),
        (*(f"lots.csv: the column x{n} is ignored" for n in range(20)), "lots.csv: 980 more columns are ignored"),
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_header_that_is_odd_and_complete_is_taken(tmp_path: Path, name: str) -> None:
    spoil, notices = SOUND[name]
    result = delivered(tmp_path, spoil)
    assert (result.refusal, result.verdicts, result.messages, result.notices) == ("", {}, (), notices)


def test_cells_under_the_wrong_name_are_quarantined(tmp_path: Path) -> None:
    result = delivered(tmp_path, replace("lots.csv", "unit_cost_usd,acquired_date", "acquired_date,unit_cost_usd"))
    reason = "lots:acquired_date_readable|lots:unit_cost_usd_readable"
    assert result.verdicts == {"A1": reason, "A2": reason, "A3": reason}
    assert result.column("lots", "quantity") == [pl.Series(["5.5"]).cast(pl.Decimal(18, 6))[0]]


def test_accounts_and_securities_that_change_places_leave_no_lot(tmp_path: Path) -> None:
    result = delivered(tmp_path, replace("lots.csv", "account_id,security_id", "security_id,account_id"))
    assert result.messages[0] == (
        "lots.csv row 1: account_id is STK; needed an account of the table accounts. "
        "lots.csv row 1: security_id is A1; needed a security with a good row in the table securities."
    )
    assert result.column("lots", "lot_id") == []
