import re
from pathlib import Path

import pytest

from schemas.errors import WrongUsage
from tasks.formats.load import load_format, shipped_formats
from tasks.formats.mapping import (
    AsOf,
    Condition,
    CountCheck,
    Header,
    InputColumn,
    InputMapping,
    Record,
    Table,
    Total,
    Trailer,
)
from tasks.formats.parts import DayPosition, NumberSign
from tests.support.format_files import CASH, format_of

FIXED = """
name = "small"
kind = "fixed"
files = "*"
[[records]]
kind = "C"
match = "C"
fields = { account = [2, 4], settled = [6, 8] }
[[tables]]
table = "cash"
records = "C"
columns = { account_id = { field = "account" }, settled_usd = { field = "settled" }, pending_usd = { value = "0" } }
"""
FLEX = """
name = "small"
kind = "flex"
files = "*.xml"
[[tables]]
table = "cash"
records = "CashReportCurrency"
columns = { account_id = { field = "accountId" }, settled_usd = { field = "endingSettledCash" }, pending_usd = { value = "0" } }
"""


def fault(folder: Path, toml: str) -> str:
    with pytest.raises(WrongUsage) as caught:
        format_of(folder, toml)
    return str(caught.value)


@pytest.mark.parametrize("name", shipped_formats())
def test_every_format_that_ships_holds_together_and_is_called_as_its_file(name: str) -> None:
    fmt = load_format(name)
    assert fmt.name == name
    assert fmt.mapping.description


def test_a_format_has_the_digest_of_its_file_and_the_tables_it_draws(tmp_path: Path) -> None:
    one, other = format_of(tmp_path, CASH), format_of(tmp_path, CASH + "# changed\n")
    assert (one.name, one.files, one.tables) == ("small", "*.txt", {"cash"})
    assert len(one.digest) == 64
    assert one.digest != other.digest


@pytest.mark.parametrize("name", ["no-such", "nowhere/x.toml", "../formats/delimited_example"])
def test_an_unknown_format_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(WrongUsage, match=r"there is no format .*; needed one of delimited-example, fixed-example"):
        load_format(name)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "small"', "name =", "small.toml: this is no TOML in UTF-8"),
        ('kind = "delimited"', 'kind = "csv"', "kind: Input should be 'delimited', 'fixed', 'flex' or 'ofx' (found csv)"),
        ('files = "*.txt"', "", "files: needed, and absent"),
        ('files = "*.txt"', 'files = "*.txt"\ncolour = "red"', "colour: there is no such key; needed one of description, decimal, name,"),
        ('files = "*.txt"', 'files = "*.txt"\nencoding = "klingon"', "encoding: klingon is no encoding that holds ASCII"),
        ('files = "*.txt"', 'files = "*.txt"\nencoding = "utf-16"', "encoding: utf-16 is no encoding that holds ASCII"),
        ('files = "*.txt"', 'files = "*.txt"\nthousands = "."', "thousands: . is the decimal sign too"),
        ('separator = "|"', "separator = '\"'", 'quote: " separates fields too'),
        ("%Y%m%d", "%y%m%d", "header.as_of.date: %y%m%d does not tell a day; needed %Y, %m and %d"),
        ("{ field = 3 }\n[trailer]", "{ start = 3, width = 2 }\n[trailer]", "header.sequence: needed a field"),
        ("{ field = 3 }\n[trailer]", "{ start = 3 }\n[trailer]", "needed a field (delimited), or a start and a width (fixed)"),
        ("account = 2,", "account = [2, 3],", "records of kind CSH: needed the numbers of fields, from 1"),
        ("account = 2,", "account = 0,", "records[1].fields.account: needed a number of a field, from 1; or [start, width]"),
        ("line_number = 4", "line_number = 4\nwidth = 3", "width 3, but a field ends at 4; needed the whole line"),
        ("line_number = 4", "line_number = 4\nwidth = [6, 4]", "width 6 to 4; needed the least first"),
        ("line_number = 4", "line_number = 4\nhas_names = true", "has_names goes with delimited files, without match"),
        ('match = "CSH"', "", None),
        ('match = "CSH"', 'match = "HDR"', "match: a line of HDR is one of HDR too"),
        ('of = "settled"', 'of = "setled"', "trailer.totals: no records have setled"),
        ('of = "settled"', 'of = "settled", records = ["X"]', "there are no records of kind X; needed one of CSH"),
        ("count = { field = 2 }", 'count = { field = 2, records = ["X"] }', "trailer.count: there are no records of kind X"),
        ('table = "cash"', 'table = "cush"', "tables[1].table: there is no landing table cush; needed one of accounts"),
        ('records = "CSH"\n', 'records = "X"\n', "tables[1]: there are no records of kind X"),
        ('{ field = "account" }', '{ field = "acount" }', "CSH has no field acount; needed one of account, settled (did you mean account?)"),
        ('settled_usd = { field = "settled", number = "signed" }\n', "", "tables[1].columns: cash lacks settled_usd; needed settled_usd: settled cash"),
        ("pending_usd", "pendng_usd", "cash has no column pendng_usd; needed columns of account_id, settled_usd, pending_usd (did you mean pending_usd?)"),
        ('{ value = "0" }', '{ value = "0", field = "settled" }', "tables[1].columns.pending_usd: needed one of field, fields and value"),
        ('{ value = "0" }', '{ value = "0", is_absolute = true }', "the keys of a number need a field"),
        ('{ value = "0" }', '{ field = "settled", scale = 5000 }', "scale: needed a number other than 0, up to 1000"),
        ('{ value = "0" }', '{ field = "settled", times = "settled", divided_by = "settled" }', "needed one of times and divided_by"),
        ('{ field = "account" }', '{ field = "account", is_absolute = true }', "keys of a number, but the column holds none"),
        ('{ field = "account" }', '{ field = "account", distinct = 1 }', "tables[1].columns.account_id.distinct: there is no such key; needed one of number,"),
        ('{ field = "account" }', '{ field = "account", absolute = 1 }', "tables[1].columns.account_id.absolute: there is no such key; did you mean is_absolute?"),
        ('{ field = "account" }', '{ field = "account", date = "%Y%m%d" }', "date, but the column holds no days"),
        ('{ field = "account" }', '{ field = "account", date = "%Y%m%d", is_absolute = true }', "exclude one another"),
        ('records = "CSH"\n', 'records = "CSH"\nwhere = { field = "account" }\n', "where[1]: needed one of is and not"),
        ('records = "CSH"\n', 'records = "CSH"\nwhere = { field = "x", is = ["1"] }\n', "tables[1]: CSH has no field x"),
        ("[header]", '[as_of]\nrecord = "CSH"\nfield = "x"\ndate = "%Y%m%d"\n[header]', "as_of: CSH has no field x"),
        ("[[tables]]", '[[records]]\nkind = "O"\nfields = {}\n[[tables]]', "a type without match, or with has_names, takes every line"),
        ("[[tables]]", '[[records]]\nkind = "CSH"\nmatch = "O"\nfields = {}\n[[tables]]', "CSH is there 2 times"),
    ],
)  # fmt: skip
def test_a_mapping_that_does_not_hold_is_refused_by_file_and_key(
    tmp_path: Path, old: str, new: str, expected: str | None
) -> None:
    toml = CASH.replace(old, new)
    assert toml != CASH
    if expected is None:
        assert format_of(tmp_path, toml).name == "small"
        return
    message = fault(tmp_path, toml)
    assert message.startswith("small.toml: ")
    assert expected in message
    assert "Hint: docs/how-to/formats.md" in message


def test_a_table_is_drawn_from_a_kind_of_record_once(tmp_path: Path) -> None:
    table = CASH[CASH.index("[[tables]]") :]
    assert "cash is drawn from CSH 2 times; needed once" in fault(tmp_path, CASH + table)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[2, 4]", "2", "records of kind C: needed [start, width]"),
        ("[2, 4]", "[0, 4]", "needed a number of a field, from 1; or [start, width]"),
        ("[[records]]", '[header]\nmatch = "CX"\n[[records]]', "match: a line of CX is one of C too"),
        ("[[records]]", '[header]\nmatch = "H"\nsequence = { field = 2 }\n[[records]]', "header.sequence: needed a start and a width"),
    ],
)  # fmt: skip
def test_a_mapping_of_fixed_columns_counts_characters(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert expected in fault(tmp_path, FIXED.replace(old, new))


def test_files_that_are_no_lines_have_no_lines_of_their_own(tmp_path: Path) -> None:
    assert format_of(tmp_path, FLEX).tables == {"cash"}
    message = fault(tmp_path, FLEX.replace("[[tables]]", '[header]\nmatch = "H"\n[[tables]]'))
    assert "kind: flex files have no header, trailer or records of their own" in message


def test_the_guide_explains_every_key() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "how-to" / "formats.md").read_text()
    models = (
        InputMapping,
        Header,
        Trailer,
        CountCheck,
        Total,
        AsOf,
        Record,
        Table,
        Condition,
        InputColumn,
        NumberSign,
        DayPosition,
    )
    keys = {field.alias or name for model in models for name, field in model.model_fields.items()}
    assert {key for key in keys if not re.search(rf"\b{key}\b", guide)} == set()
