"""Files as brokers' web sites write them: currency signs, spare cells, sentences before and behind the table, empty lines."""

from decimal import Decimal
from pathlib import Path

import pytest

from schemas.errors import WrongUsage
from tests.support.format_files import file_of, format_of, rows_of

POSITIONS = r"""
name = "download"
kind = "delimited"
files = "*.csv"
thousands = ","
currency_sign = "$"
comment = ["\"Positions for", "\"The data", "Date downloaded"]
[[records]]
kind = "POS"
has_names = true
spare_cells = 1
fields = { account = "Account Number", symbol = "Symbol", quantity = "Quantity", cost = "Cost" }
[[tables]]
table = "lots"
records = "POS"
where = { field = "symbol", not = ["Total"] }
[tables.columns]
account_id = { field = "account" }
security_id = { field = "symbol" }
lot_id = { field = "symbol" }
quantity = { field = "quantity" }
unit_cost_usd = { field = "cost", divided_by = "quantity", number = "signed", null = ["--", "n/a"] }
"""
HEADER = "Account Number,Symbol,Quantity,Cost"


def lots(
    folder: Path, *lines: str, toml: str = POSITIONS
) -> tuple[list[tuple[object, ...]], list[tuple[int, str | None]]]:
    """Rows that can be read, and line and account of the others."""
    found = rows_of(format_of(folder, toml), file_of(folder, lines))["lots"]
    good = found.filter(found["unparsed"].is_null())
    odd = found.filter(found["unparsed"].is_not_null())
    return (
        good.select("account_id", "security_id", "quantity", "unit_cost_usd").rows(),
        odd.select("row_number", "account_id").rows(),
    )


def test_a_download_is_read_with_its_currency_signs_and_spare_cells(tmp_path: Path) -> None:
    good, odd = lots(
        tmp_path,
        '"Positions for account Individual ...436 as of 04:05 PM ET, 2026/11/20"',
        "",
        HEADER,
        'D1,VTI,100,"$15,000.00",',
        'D1,BND,"1,000",$71.50',
        "D1,ITOT,3,--,",
        ",,,",
        '" ","",,,',
        "Total,Total,,,",
        '"The data and information in this spreadsheet is provided to you solely for your use, and no other."',
        "Date downloaded 11/20/2026 6:07 PM",
    )
    assert good == [
        ("D1", "VTI", Decimal(100), Decimal(150)),
        ("D1", "BND", Decimal(1000), Decimal("0.0715")),
        ("D1", "ITOT", Decimal(3), None),
    ]
    assert odd == []


@pytest.mark.parametrize("line", ["D1,VTI,100,$15,000.00", "D1,VTI,100,$15.00,x", "D1,VTI,100,$15.00,,", "D1,VTI,100"])
def test_a_line_with_more_than_empty_cells_beyond_its_width_is_quarantined(tmp_path: Path, line: str) -> None:
    assert lots(tmp_path, HEADER, line) == ([], [(2, "D1")])


def test_without_the_option_a_spare_cell_quarantines_its_line(tmp_path: Path) -> None:
    toml = POSITIONS.replace("spare_cells = 1\n", "")
    assert lots(tmp_path, HEADER, "D1,VTI,100,$15.00,", toml=toml) == ([], [(2, "D1")])


@pytest.mark.parametrize(
    ("line", "account"),
    [
        ('"Brokerage services are provided by a broker, member of SIPC."', None),
        ("Market data is delayed by 20 minutes.", None),
        ("D1", "D1"),
        (f"{'x' * 65}", None),
    ],
)
def test_a_sentence_below_the_table_is_no_account(tmp_path: Path, line: str, account: str | None) -> None:
    assert lots(tmp_path, HEADER, "D1,VTI,100,$15.00", line)[1] == [(3, account)]


def test_a_comment_may_be_one_text_or_none(tmp_path: Path) -> None:
    one = POSITIONS.replace(r'comment = ["\"Positions for", "\"The data", "Date downloaded"]', 'comment = "#"')
    assert lots(tmp_path, HEADER, "# a note", "D1,VTI,100,$15.00", toml=one)[1] == []
    none = one.replace('comment = "#"', 'comment = ""')
    assert lots(tmp_path, HEADER, "# a note", "D1,VTI,100,$15.00", toml=none)[1] == [(2, None)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('currency_sign = "$"', 'currency_sign = ","', "currency_sign"),
        ('currency_sign = "$"', 'currency_sign = "5"', "currency_sign"),
        ('currency_sign = "$"', 'currency_sign = "\\""', 'currency_sign: " means something else too'),
        ("spare_cells = 1", "spare_cells = -1", "spare_cells"),
        ("spare_cells = 1", 'spare_cells = "1"', "spare_cells"),
        ('comment = ["', 'comment = ["", "', "comment"),
    ],
)
def test_an_option_that_cannot_be_meant_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(WrongUsage, match=message):
        format_of(tmp_path, POSITIONS.replace(old, new))


def test_spare_cells_are_of_delimited_files(tmp_path: Path) -> None:
    fixed = """
    name = "small"
    kind = "fixed"
    files = "*"
    [[records]]
    kind = "C"
    spare_cells = 1
    fields = { account = [2, 4], settled = [6, 8] }
    [[tables]]
    table = "cash"
    records = "C"
    columns = { account_id = { field = "account" }, settled_usd = { field = "settled" }, pending_usd = { value = "0" } }
    """
    with pytest.raises(WrongUsage, match="spare_cells go with delimited files"):
        format_of(tmp_path, fixed)
