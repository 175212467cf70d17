import csv
import hashlib
import io
import json
from datetime import date
from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.export import files as export_files
from tasks.core.export.blocks import block_orders
from tasks.core.export.files import FileEntry, manifest_bytes, rendered_files, success_bytes
from tasks.core.export.package import Export, ExportPackage
from tests.support.examples import at_most

EXPORT = Export("2026-03-02-nightly-abc", date(2026, 3, 2), 1, "2026-03-02-nightly-abc-export-1")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
ORDERS = {
    "order_id": pl.String,
    "account_id": pl.String,
    "custodian": pl.String,
    "side": pl.String,
    "symbol": pl.String,
    "security_id": pl.String,
    "quantity": pl.Decimal(18, 6),
    "price_usd": pl.Decimal(18, 6),
    "value_usd": pl.Decimal(38, 2),
    "reason": pl.String,
}
LOTS = {
    "order_id": pl.String,
    "account_id": pl.String,
    "symbol": pl.String,
    "security_id": pl.String,
    "lot_id": pl.String,
    "quantity": pl.Decimal(18, 6),
    "unit_cost_usd": pl.Decimal(18, 6),
    "acquired_date": pl.Date,
    "term": pl.String,
}


def release_of(orders: list[tuple[object, ...]], lots: list[tuple[object, ...]]) -> ExportPackage:
    frame = pl.DataFrame(orders, schema=ORDERS, orient="row").with_columns(
        household_id=pl.lit(None, pl.String), amount_usd=pl.lit(None, pl.Decimal(38, 2))
    )
    blocks = block_orders(frame, run_id=EXPORT.run_id, sequence=EXPORT.sequence)
    closed = pl.DataFrame(lots, schema=LOTS, orient="row").with_columns(gain_usd=pl.lit(None, pl.Decimal(38, 6)))
    return ExportPackage(EXPORT, frame, closed, blocks)


def files_of(release: ExportPackage) -> dict[str, tuple[int, str]]:
    return {path: (rows, text) for group in rendered_files(release) for path, rows, text in group.iter_rows()}


def cells_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


TINY = release_of(
    [
        (
            "o1",
            "-7",
            "Acme, Inc",
            "sell",
            "VTI",
            "s1",
            Decimal("12.500000"),
            Decimal("250.1"),
            Decimal("3126.25"),
            "drift",
        ),
        ("o2", "-7", "Acme, Inc", "buy", "=BND", "s2", Decimal(100), Decimal("72.123456"), Decimal("7212.35"), None),
        ("o3", "b", "Acme, Inc", "sell", "VTI", "s1", Decimal(1), Decimal("250.1"), Decimal("250.10"), 'say "now"'),
    ],
    [
        ("o1", "-7", "VTI", "s1", "l1", Decimal(10), Decimal("99.5"), date(2020, 2, 29), "long"),
        ("o1", "-7", "VTI", "s1", "l2", Decimal("2.5"), None, None, None),
        ("o3", "b", "VTI", "s1", "l1", Decimal(1), Decimal(0), date(2026, 1, 2), "short"),
    ],
)

GOLDEN = {
    "accounts/-7.csv": """\
client_order_id,account_id,custodian,side,symbol,security_id,quantity,order_type,time_in_force,reference_price_usd,estimated_value_usd,tax_lot_method,reason
o1,'-7,"Acme, Inc",sell,VTI,s1,12.5,market,day,250.1,3126.25,specific_lots,drift
o2,'-7,"Acme, Inc",buy,'=BND,s2,100,market,day,72.123456,7212.35,,
""",
    "accounts/b.csv": """\
client_order_id,account_id,custodian,side,symbol,security_id,quantity,order_type,time_in_force,reference_price_usd,estimated_value_usd,tax_lot_method,reason
o3,b,"Acme, Inc",sell,VTI,s1,1,market,day,250.1,250.10,specific_lots,"say ""now\"""
""",
    "lots/-7.csv": """\
client_order_id,account_id,symbol,security_id,lot_id,quantity,unit_cost_usd,acquired_date,term
o1,'-7,VTI,s1,l1,10,99.5,2020-02-29,long
o1,'-7,VTI,s1,l2,2.5,,,
""",
    "lots/b.csv": """\
client_order_id,account_id,symbol,security_id,lot_id,quantity,unit_cost_usd,acquired_date,term
o3,b,VTI,s1,l1,1,0,2026-01-02,short
""",
    "blocks.csv": """\
block_id,custodian,side,symbol,security_id,quantity,estimated_value_usd,account_count,order_count
SELL,"Acme, Inc",sell,VTI,s1,13.5,3376.35,2,2
BUY,"Acme, Inc",buy,'=BND,s2,100,7212.35,1,1
""",
    "allocations.csv": """\
block_id,client_order_id,account_id,quantity,estimated_value_usd
SELL,o1,'-7,12.5,3126.25
SELL,o3,b,1,250.10
BUY,o2,'-7,100,7212.35
""",
}


def named_blocks(text: str) -> str:
    """Block ids are hashes: read them by their place."""
    sell, buy = TINY.blocks["block_id"]
    return text.replace(sell, "SELL").replace(buy, "BUY")


def test_a_tiny_export_is_written_to_the_letter() -> None:
    files = files_of(TINY)
    assert {path: named_blocks(text) for path, (_, text) in files.items()} == GOLDEN
    assert list(files) == list(GOLDEN)
    assert [rows for rows, _ in files.values()] == [2, 1, 2, 1, 2, 3]


def test_the_manifest_says_what_the_export_is_and_adds_up() -> None:
    entries = [FileEntry("accounts/b.csv", 1, 10, "00ff")]
    manifest = json.loads(named_blocks(manifest_bytes(TINY, entries).decode()))
    assert manifest == {
        "format": "trimtab-export/1",
        "export_id": "2026-03-02-nightly-abc-export-1",
        "run_id": "2026-03-02-nightly-abc",
        "as_of_date": "2026-03-02",
        "sequence": 1,
        "totals": {
            "accounts": 2,
            "orders": 3,
            "lots": 3,
            "buy_value_usd": "7212.35",
            "sell_value_usd": "3376.35",
        },
        "blocks": [
            {"block_id": "SELL", "quantity": "13.5", "estimated_value_usd": "3376.35", "accounts": 2, "orders": 2},
            {"block_id": "BUY", "quantity": "100", "estimated_value_usd": "7212.35", "accounts": 1, "orders": 1},
        ],
        "warnings": [],
        "files": [{"path": "accounts/b.csv", "rows": 1, "bytes": 10, "sha256": "00ff"}],
    }


def test_totals_of_a_side_without_orders_are_zero() -> None:
    (sell,) = (row for row in TINY.orders.select(list(ORDERS)).rows() if row[0] == "o3")
    totals = json.loads(manifest_bytes(release_of([sell], []), []))["totals"]
    assert totals["buy_value_usd"] == "0.00"


def test_success_names_the_manifest_and_its_hash() -> None:
    assert success_bytes(b"{}") == hashlib.sha256(b"{}").hexdigest().encode() + b"  manifest.json\n"


names = st.text(min_size=1, max_size=6) | st.sampled_from(["=1+1", "+x", "-x", "@x", "a,b", 'q"q', "l\nf", "c\rr"])
amounts = st.decimals(min_value="0.000001", max_value=10**6, places=6)


@st.composite
def releases(draw: st.DrawFn) -> ExportPackage:
    """Any orders of up to six accounts; every sell closes one or two lots."""
    accounts = ["-1", "_", "a", "a.b", "b", "z"]
    symbols = {security: draw(names) for security in ("s1", "s2", "s3")}
    custodians = {account: draw(names) for account in accounts}
    chosen = st.tuples(st.sampled_from(accounts), st.sampled_from(sorted(symbols)), st.sampled_from(["sell", "buy"]))
    keys = sorted(draw(st.sets(chosen, min_size=1, max_size=12)), key=lambda key: (key[0], key[2] == "buy", key[1]))
    orders = [
        (
            f"{a}:{s}:{side}",
            a,
            custodians[a],
            side,
            symbols[s],
            s,
            draw(amounts),
            draw(amounts),
            Decimal(1),
            draw(names),
        )
        for a, s, side in keys
    ]
    lots = [
        (order[0], order[1], order[4], order[5], draw(names), order[6], None, None, draw(names))
        for order in orders
        if order[3] == "sell"
    ]
    return release_of(orders, lots)


@settings(max_examples=at_most(40))
@given(releases())
def test_every_file_reads_back_with_as_many_lines_as_rows_and_no_formula(release: ExportPackage) -> None:
    for rows, text in files_of(release).values():
        header, *lines = cells_of(text)
        assert len(lines) == rows
        assert {len(line) for line in lines} == {len(header)}
        assert not [cell for line in lines for cell in line if cell.startswith(FORMULA)]
        assert text.endswith("\n")


@settings(max_examples=at_most(40))
@given(releases())
def test_every_order_is_in_the_file_of_its_account_and_in_one_allocation(release: ExportPackage) -> None:
    files = files_of(release)
    written = [
        (path, line[0].removeprefix("'"))
        for path, (_, text) in files.items()
        if path.startswith("accounts/")
        for line in cells_of(text)[1:]
    ]
    assert written == [(f"accounts/{a}.csv", o) for o, a in release.orders.select("order_id", "account_id").rows()]
    allocations = cells_of(files["allocations.csv"][1])[1:]
    assert sorted(line[1].removeprefix("'") for line in allocations) == sorted(release.orders["order_id"])
    for block in cells_of(files["blocks.csv"][1])[1:]:
        parts = [line for line in allocations if line[0] == block[0]]
        assert sum(Decimal(line[3]) for line in parts) == Decimal(block[5])
        assert sum(Decimal(line[4]) for line in parts) == Decimal(block[6])
        assert len(parts) == int(block[8])


@settings(max_examples=at_most(40))
@given(releases())
def test_only_accounts_with_sells_have_a_file_of_lots(release: ExportPackage) -> None:
    sellers = release.orders.filter(pl.col("side") == "sell")["account_id"].unique().sort()
    files = sorted(path for path in files_of(release) if path.startswith("lots/"))
    assert files == sorted(f"lots/{account}.csv" for account in sellers)


def test_groups_are_cut_between_accounts_and_do_not_change_the_bytes() -> None:
    many = export_files.ACCOUNTS_PER_GROUP * 2 + 1
    row = TINY.orders.select(list(ORDERS)).row(2)
    orders = [(f"{i:05}-{n}", f"{i:05}", *row[2:]) for i in range(many) for n in (1, 2)]
    release = release_of(orders, [])
    groups = list(rendered_files(release))
    assert [group.height for group in groups] == [export_files.ACCOUNTS_PER_GROUP] * 2 + [1, 2]
    assert {rows for group in groups[:3] for rows in group["rows"]} == {2}
    assert files_of(release)["accounts/00000.csv"] == files_of(release_of(orders[:2], []))["accounts/00000.csv"]
