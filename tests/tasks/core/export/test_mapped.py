import csv
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import ProfileFormat
from schemas.errors import ConservationBroken, WrongUsage
from schemas.exports import Profile
from tasks.core.export import mapped
from tasks.core.export.mapped import safe_name
from tasks.core.export.package import ExportPackage
from tests.support.packages import ORDERS, release

EXAMPLE = (Path(__file__).parents[4] / "docs" / "how-to" / "mapped_example.toml").read_text(encoding="utf-8")
ID = '[[columns]]\nname = "Ref"\nfield = "client_order_id"\n'
SIDE = '[[columns]]\nname = "Side"\nfield = "side"\n'
PLAIN = tuple(order for order in ORDERS if order[0] != "-A3")
EVIL = ("=HYPERLINK(1)", "+1", "-A3", "@x", "\tX", "＝X", "x|=1", "x, -1", "x;@a")  # noqa: RUF001 - a full-width sign starts a formula too


def profile(*lines: str, columns: str = ID) -> Profile:
    """Of a mapping with these lines at its top; one file unless they say otherwise."""
    has_files = any(line.startswith("files") for line in lines)
    top = lines if has_files else ('files = "orders.csv"', *lines)
    return Profile(name="custody", format=ProfileFormat.MAPPED, mapping="\n".join([*top, columns]))


def column(name: str, *lines: str) -> str:
    return "\n".join(["[[columns]]", f'name = "{name}"', *lines, ""])


def written(made: ExportPackage, by: Profile) -> pl.DataFrame:
    return pl.concat(mapped.files(made, by))


def files_of(made: ExportPackage, by: Profile) -> dict[str, str]:
    return dict(written(made, by).select("path", "content").iter_rows())


def cells_of(*lines: str, orders: tuple[tuple[str, str, str, str, str], ...] = PLAIN) -> list[str]:
    """Cells of a column of these lines, in the orders' order."""
    by = profile("has_names = false", columns=column("X", *lines) + ID)
    (content,) = files_of(release(orders), by).values()
    return [row[0] for row in csv.reader(content.splitlines())]


def reasons(made: ExportPackage, by: Profile) -> list[str]:
    return mapped.refusals(made, by)["reason"].to_list()


def lots_of(made: ExportPackage, **changes: object) -> ExportPackage:
    lots = made.lots.with_columns(**{name: pl.lit(value) for name, value in changes.items()})
    return ExportPackage(made.export, made.orders, lots, made.blocks)


def test_the_example_writes_a_file_a_custodian_with_header_names_and_totals() -> None:
    made, by = release(PLAIN), Profile(name="custody", format=ProfileFormat.MAPPED, mapping=EXAMPLE)
    assert reasons(made, by) == []
    ((path, rows, content),) = written(made, by).iter_rows()
    assert (path, rows) == (f"TRADES_{safe_name('Acme, Inc')}_20260302_001.txt", 4)
    assert content.split("\r\n") == [
        "HDR|TRIMTAB|03/02/2026",
        "Account|Action|Type|Symbol|Shares|Order|Lots|TradeDate|Reference",
        "A1|S|EQ|BRK.B|12.0000|MKT|VSP|03/02/2026|A1-sell-S2",
        "A1|B|EQ|VTI|17.0000|MKT||03/02/2026|A1-buy-S1",
        "A2|S|MF|VBTLX|100.1250|MKT|VSP|03/02/2026|A2-sell-S3",
        "A2|B|EQ|VTI|5.0000|MKT||03/02/2026|A2-buy-S1",
        "TRL|00000004|134.125|6369.00|5885.20",
        "",
    ]


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("{account_id}.csv", ["-A3.csv", "A1.csv", "A2.csv"]),
        ("all-{run_id}.{sequence}.txt", ["all-2026-03-02-nightly-0123456789ab.1.txt"]),
        ("{custodian}_{as_of:%y%j}.dat", ["Beta_26061.dat", f"{safe_name('Acme, Inc')}_26061.dat"]),
    ],
)
def test_a_file_is_an_accounts_a_custodians_or_everybodys_as_its_name_says(pattern: str, paths: list[str]) -> None:
    by = profile(f'files = "{pattern}"', 'formulas = "apostrophe"')
    assert list(files_of(release(), by)) == paths


@pytest.mark.parametrize(
    ("custodian", "start"),
    [
        ("Acme, Inc", "Acme-Inc."),
        ("../../etc", "etc."),
        ("-x", "x."),
        ("a/b", "a-b."),
        ("Züri", "Z-ri."),
        ("東京", "custodian."),
    ],
)
def test_a_custodian_becomes_a_name_that_stays_in_the_folder(custodian: str, start: str) -> None:
    name = safe_name(custodian)
    assert name.startswith(start)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    assert name == safe_name(custodian)


def test_two_custodians_never_share_a_name() -> None:
    alike = ("Acme, Inc", "Acme; Inc", "Acme-Inc", "Acme Inc", "x" * 64, "x" * 63, "Z" * 40)
    assert len({safe_name(each) for each in alike}) == len(alike)
    assert safe_name("Beta") == "Beta"
    assert safe_name(safe_name("Acme, Inc")) != safe_name("Acme, Inc")


def test_header_and_trailer_count_each_files_own_orders() -> None:
    by = profile(
        'files = "{account_id}.csv"',
        'formulas = "apostrophe"',
        "has_names = false",
        'header = ["{orders} {accounts} {buy_orders} {sell_orders}", "{as_of} {run_id} {sequence:04}"]',
        'trailer = ["{lines} {quantity} {buy_value_usd} {sell_value_usd}"]',
        columns=ID,
    )
    files = files_of(release((*ORDERS, ("-A3", "buy", "S3", "0.5", "9.61"))), by)
    assert files["A1.csv"].splitlines()[0] == "2 1 1 1"
    head, run, *_, tail = files["-A3.csv"].splitlines()
    assert (head, run) == ("3 1 2 1", "2026-03-02 2026-03-02-nightly-0123456789ab 0001")
    assert tail == "3 7.5 1162.80 1230.75"


def test_sums_are_those_that_the_lines_add_up_to() -> None:
    value = column("Value", 'field = "estimated_value_usd"') + SIDE
    by = profile('trailer = ["{buy_value_usd},{sell_value_usd}"]', columns=value + ID)
    (content,) = files_of(release(PLAIN), by).values()
    _, *lines, last = csv.reader(content.splitlines())
    sums = {side: sum(Decimal(line[0]) for line in lines if line[1] == side) for side in ("buy", "sell")}
    assert [Decimal(total) for total in last] == [sums["buy"], sums["sell"]]


@pytest.mark.parametrize(
    ("lines", "cells"),
    [
        (('field = "quantity"',), ["12", "17", "100.125", "5"]),
        (('field = "quantity"', "decimals = 3", "is_padded = true"), ["12.000", "17.000", "100.125", "5.000"]),
        (('field = "quantity"', "decimals = 4"), ["12", "17", "100.125", "5"]),
        (('field = "estimated_value_usd"', "decimals = 0", "is_rounded = true"), ["4923", "4922", "962", "1448"]),
        (('field = "reference_price_usd"', "decimals = 1", "is_rounded = true"), ["410.2", "289.5", "9.6", "289.5"]),
        (('field = "side"', 'codes = { buy = "+", sell = "-" }'), ["-", "+", "-", "+"]),
        (('field = "as_of_date"', 'date = "%d.%m.%Y"'), ["02.03.2026"] * 4),
        (('field = "as_of_date"',), ["2026-03-02"] * 4),
        (('value = "a,\\"b\\""',), ['a,"b"'] * 4),
        (('field = "tax_lot_method"', 'null = "FIFO"'), ["specific_lots", "FIFO", "specific_lots", "FIFO"]),
        (('field = "custodian"',), ["Acme, Inc"] * 4),
        (('field = "security_name"',), ["Berkshire", "Total Market", "Bond, Index", "Total Market"]),
    ],
)
def test_a_cell_is_written_as_its_column_says(lines: tuple[str, ...], cells: list[str]) -> None:
    assert cells_of(*lines) == cells


def test_rounding_is_half_even_and_a_decimal_comma_is_quoted_where_it_separates() -> None:
    halves = (("A1", "buy", "S1", "1", "0.25"), ("A1", "sell", "S2", "12", "0.35"))
    assert cells_of('field = "reference_price_usd"', "decimals = 1", "is_rounded = true", orders=halves) == [
        "0.4",
        "0.2",
    ]
    price = column("Price", 'field = "reference_price_usd"') + ID
    by = profile('decimal = ","', 'trailer = ["{buy_value_usd}"]', columns=price)
    assert files_of(release(halves[:1]), by) == {"orders.csv": 'Price,Ref\n"0,25",A1-buy-S1\n0,25\n'}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (('field = "side"', 'codes = { buy = "B" }'), "the column X has no code for it, found sell"),
        (('field = "quantity"', "decimals = 0"), "the column X takes 0 digits after the point, found 100.125"),
        (('field = "quantity"', "decimals = 2"), "the column X takes 2 digits after the point, found 100.125"),
        (('field = "symbol"', "max_length = 4"), "the column X takes 4 characters, found BRK.B"),
        (('field = "quantity"', "max_length = 6"), "the column X takes 6 characters, found 100.125"),
        (('field = "household_id"', "is_required = true"), "the column X needs the household_id, found nothing"),
    ],
)
def test_an_order_that_does_not_fit_a_column_is_refused_and_never_cut(lines: tuple[str, ...], reason: str) -> None:
    by = profile('formulas = "apostrophe"', columns=column("X", *lines) + ID)
    made = release(ORDERS)
    assert reason in reasons(made, by)
    with pytest.raises(ConservationBroken, match="cannot be written: the column X"):
        written(made, by)


@pytest.mark.parametrize(
    ("top", "symbol", "reason"),
    [
        ('encoding = "ascii"', "É", "the column X takes ASCII only, found É"),
        ('quote = ""', "A,B", "the column X cannot hold the separator, for there are no quotes, found A,B"),
        ("", "A\nB", "the column X cannot hold a line break, found A\nB"),
        ("", "A\rB", "the column X cannot hold a line break, found A\rB"),
    ],
)
def test_text_that_the_file_cannot_hold_is_refused(top: str, symbol: str, reason: str) -> None:
    by = profile(top, columns=column("X", 'field = "symbol"') + ID)
    assert reasons(release(PLAIN[:1], symbol=symbol), by) == [reason]
    assert reasons(release(PLAIN[:1]), by) == []


@pytest.mark.parametrize("field", ["account_id", "symbol", "reason", "client_order_id", "custodian", "security_name"])
@pytest.mark.parametrize("text", EVIL)
def test_what_a_spreadsheet_would_run_is_refused(field: str, text: str) -> None:
    by = profile(columns=column("X", f'field = "{field}"') + (ID if field != "client_order_id" else ""))
    name = "order_id" if field == "client_order_id" else field
    (reason,) = reasons(release(PLAIN[:1], **{name: text}), by)
    assert reason.startswith("the column X would start a formula in a spreadsheet, found ")


def test_a_formula_is_written_after_an_apostrophe_where_the_mapping_says_so() -> None:
    by = profile(
        'formulas = "apostrophe"', "has_names = false", columns=column("X", 'field = "symbol"', "max_length = 3") + ID
    )
    assert files_of(release(PLAIN[:1], symbol="=1"), by) == {"orders.csv": "'=1,A1-sell-S2\n"}
    assert reasons(release(PLAIN[:1], symbol="=12"), by) == ["the column X takes 3 characters, found =12"]
    assert len(reasons(release(PLAIN[:1], symbol="x|=1"), by)) == 1


def test_a_line_a_lot_with_the_orders_own_values_beside() -> None:
    lots = (
        column("Lot", 'field = "lot_id"')
        + column("N", 'field = "lot_quantity"')
        + column("Cost", 'field = "unit_cost_usd"')
    )
    rest = column("Bought", 'field = "acquired_date"', 'date = "%m/%d/%Y"', 'null = "?"') + column(
        "Of", 'field = "quantity"'
    )
    by = profile(
        'grain = "lots"', 'trailer = ["{lines} {orders} {quantity} {sell_value_usd}"]', columns=lots + rest + ID
    )
    assert files_of(release(PLAIN), by)["orders.csv"].splitlines() == [
        "Lot,N,Cost,Bought,Of,Ref",
        "L1,10,200,05/06/2019,12,A1-sell-S2",
        "L2,2,430.5,12/01/2025,12,A1-sell-S2",
        "L7,100.125,,?,100.125,A2-sell-S3",
        "3 2 112.125 5885.20",
    ]


def test_buys_close_no_lot_and_are_not_refused_for_what_is_not_written() -> None:
    by = profile('grain = "lots"', columns=column("X", 'field = "side"', 'codes = { sell = "S" }') + ID)
    assert reasons(release(PLAIN), by) == []
    assert (
        len(reasons(release(PLAIN), profile(columns=column("X", 'field = "side"', 'codes = { sell = "S" }') + ID))) == 2
    )
    assert list(mapped.files(release((PLAIN[1],)), by)) == []


@pytest.mark.parametrize(
    ("lines", "changes"),
    [
        (('field = "lot_id"', "max_length = 2"), {"lot_id": "L10"}),
        (('field = "lot_id"',), {"lot_id": "=1"}),
        (('field = "acquired_date"', "is_required = true"), {"acquired_date": pl.Series([None], dtype=pl.Date)[0]}),
    ],
)
def test_an_order_with_a_lot_that_does_not_fit_is_refused_before_the_file_is_written(
    lines: tuple[str, ...], changes: dict[str, object]
) -> None:
    by = profile('grain = "lots"', columns=column("X", *lines) + ID)
    assert reasons(lots_of(release(PLAIN), **changes), by)[0].startswith("the column X")
    with pytest.raises(ConservationBroken, match="cannot be written: the column X"):
        written(lots_of(release(PLAIN), **changes), by)


def test_a_run_whose_name_is_too_long_for_its_column_is_refused() -> None:
    by = profile(columns=column("X", 'field = "run_id"', "max_length = 5") + ID)
    (sentence,) = set(reasons(release(PLAIN), by))
    assert sentence == "the column X takes 5 characters, found 2026-03-02-nightly-0123456789ab"
    with pytest.raises(ConservationBroken, match="takes 5 characters, found 2026-03-02-nightly"):
        written(release(PLAIN), by)


def wrong() -> Iterator[tuple[str, str]]:
    """A mapping and what is said of it."""
    yield "files = ", "this is no TOML"
    yield ID, "files: needed, and absent"
    yield 'files = "a.csv"', "columns: needed, and absent"
    yield f'files = "a.csv"\nseperator = ","\n{ID}', "seperator: there is no such key; did you mean separator?"
    yield f'files = "a.csv"\nquote = "x"\n{ID}', "quote: Input should be '\"' or '' (found x)"
    yield f'files = "a.csv"\nseparator = "ab"\n{ID}', "separator: "
    yield f'files = "a.csv"\ntrailer = ["{{order}}"]\n{ID}', "trailer[1]: {order} is no name here; did you mean orders?"
    yield f'files = "a.csv"\ntrailer = ["{{"]\n{ID}', "trailer[1]: "
    yield (
        f'files = "a.csv"\ntrailer = ["{{buy_value_usd:09}}"]\n{ID}',
        "trailer[1]: {buy_value_usd:09} cannot be written",
    )
    yield f'files = "a.csv"\nheader = ["=1"]\n{ID}', "header[1]: needed text without line breaks"
    yield f'files = "a.csv"\nis_without_order_id = true\n{ID}', "the file: is_without_order_id is true, but"
    for name in (
        "../a.csv",
        "a/b.csv",
        ".a.csv",
        "a",
        "{account_id}",
        "{account_id}.json",
        "{account_id}.JSON",
        "a*.csv",
    ):
        yield f'files = "{name}"\n{ID}', "files: needed a name of letters, digits"
    yield f'files = "{{as_of:%Y/%m}}.csv"\n{ID}', "files: needed a name of letters, digits"
    yield f'files = "{{as_of:.}}.csv"\n{ID}', "files: {as_of:.} cannot be written"
    yield f'files = "{{acount_id}}.csv"\n{ID}', "files: {acount_id} is no name here; did you mean account_id?"
    yield f'files = "{{account_id}}{{custodian}}.csv"\n{ID}', "files: needed account_id or custodian, not both"
    yield f'files = "a.csv"\n{SIDE}', "the file: no column has the field client_order_id, so replies cannot be matched"
    yield f'files = "a.csv"\n{ID}codes = {{ a = "b" }}', "no column has the field client_order_id"
    yield f'files = "a.csv"\n{ID}{ID}', "the file: there are two columns Ref"
    yield (
        f'files = "a.csv"\n{SIDE.replace("Side", "{Side}")}{ID}',
        "columns[1] ({Side}).name: needed a name without braces",
    )


COLUMNS_REFUSED = {
    'feild = "side"': "columns[1] (X).feild: there is no such key; did you mean field?",
    'field = "sid"': "columns[1] (X).field: there is no such field; did you mean side? (found sid)",
    'field = "side"\nvalue = "x"': "columns[1] (X): needed one of field and value",
    "": "columns[1] (X): needed one of field and value",
    'value = "=1"': "columns[1] (X).value: needed text without line breaks that a spreadsheet",
    'value = "x"\ncodes = { a = "b" }': "codes need a field that is text",
    'field = "quantity"\ncodes = { a = "b" }': "codes need a field that is text",
    'field = "side"\ncodes = { buy = "@" }': "columns[1] (X).codes.buy: needed text without line breaks",
    'field = "side"\nnull = "-x"': "columns[1] (X).null: needed text without line breaks",
    'field = "side"\ndate = "%Y"': "date needs a field that is a day",
    'field = "as_of_date"\ndate = "%H"': "columns[1] (X).date: needed a day of %Y",
    'field = "side"\ndecimals = 2': "decimals need a field that is a number",
    'field = "quantity"\ndecimals = 7': "columns[1] (X).decimals: ",
    'field = "quantity"\ndecimals = true': "columns[1] (X).decimals: ",
    'field = "quantity"\nis_padded = true': "is_padded and is_rounded need decimals",
    'field = "quantity"\ndecimals = 0\nis_rounded = true': "is_rounded needs one of reference_price_usd",
    'field = "side"\nmax_length = 0': "columns[1] (X).max_length: ",
    'value = "abc"\nmax_length = 2': "a text of the mapping is longer than max_length = 2",
    'field = "lot_id"': 'the column X has a field of lots, lot_id; needed grain = "lots"',
}


@pytest.mark.parametrize(("text", "sentence"), [*wrong()])
def test_a_mapping_that_does_not_hold_together_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    by = Profile(name="custody", format=ProfileFormat.MAPPED, mapping=text)
    with pytest.raises(WrongUsage) as refused:
        mapped.refusals(release(), by)
    assert str(refused.value).startswith("mapping of the profile custody: ")
    assert sentence in str(refused.value)
    assert str(refused.value).endswith("Hint: docs/how-to/profiles.md says what each key means.")


@pytest.mark.parametrize(("lines", "sentence"), COLUMNS_REFUSED.items())
def test_a_column_that_does_not_hold_together_is_refused_with_a_sentence(lines: str, sentence: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        mapped.refusals(release(), profile(columns=column("X", lines) + ID))
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("top", "lines", "sentence"),
    [
        ('encoding = "ascii"', 'value = "é"', "a text that is not ASCII"),
        ('quote = ""', 'value = "a,b"', "a text with the separator, and there are no quotes"),
    ],
)
def test_a_text_of_the_mapping_itself_must_fit_its_file(top: str, lines: str, sentence: str) -> None:
    with pytest.raises(WrongUsage, match=sentence):
        mapped.refusals(release(), profile(top, columns=column("X", lines) + ID))
    assert reasons(release(PLAIN), profile(columns=column("X", lines) + ID)) == []


def test_a_mapping_without_the_orders_id_is_taken_where_it_says_so() -> None:
    by = profile("is_without_order_id = true", "has_names = false", columns=SIDE)
    assert files_of(release(PLAIN[:1]), by) == {"orders.csv": "sell\n"}


def test_a_name_with_the_separator_is_quoted() -> None:
    by = profile(columns=column("a,b", 'value = "x"') + ID)
    assert files_of(release(PLAIN[:1]), by) == {"orders.csv": '"a,b",Ref\nx,A1-sell-S2\n'}


def test_the_order_of_the_books_rows_changes_no_byte() -> None:
    by = profile('files = "{custodian}.csv"', 'formulas = "apostrophe"', 'trailer = ["{quantity} {buy_value_usd}"]')
    lots = profile('grain = "lots"', 'formulas = "apostrophe"', columns=column("Lot", 'field = "lot_id"') + ID)
    for each in (by, lots):
        assert written(release(), each).equals(written(release(ORDERS[::-1]), each))


def test_nothing_leaves_nothing() -> None:
    made = release()
    empty = ExportPackage(made.export, made.orders.clear(), made.lots.clear(), made.blocks.clear())
    by = profile('files = "{custodian}.csv"', 'trailer = ["{lines}"]')
    assert list(mapped.files(empty, by)) == []
    assert reasons(empty, by) == []


def test_the_days_of_a_lot_and_of_the_export_are_their_own() -> None:
    by = profile(
        'grain = "lots"', columns=column("A", 'field = "as_of_date"') + column("B", 'field = "acquired_date"') + ID
    )
    made = lots_of(release(PLAIN[:1]), acquired_date=date(2020, 2, 29))
    assert files_of(made, by)["orders.csv"].splitlines()[1].split(",")[:2] == ["2026-03-02", "2020-02-29"]
