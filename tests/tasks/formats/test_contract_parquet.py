from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import InputRefused
from tasks.core.gate.parsing import parse
from tasks.formats.contract_file import read_batches, read_table

LOT = {name: pa.array(["1"]) for name in ("account_id", "security_id", "lot_id", "quantity", "unit_cost_usd")}
NOT_UTF_8 = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xff\xfe")])


def lots_file(folder: Path, cells: dict[str, pa.Array], *, has_int96: bool = False) -> Path:
    path = folder / "lots.parquet"
    table = pa.table({**LOT, "acquired_date": pa.nulls(1, pa.string()), **cells})
    pq.write_table(table, path, use_deprecated_int96_timestamps=has_int96)
    return path


@pytest.mark.parametrize(
    ("column", "cells", "found"),
    [
        ("quantity", pa.array([Decimal(1)], pa.decimal256(50, 2)), "decimal256(50, 2)"),
        ("quantity", pa.array([{"a": 1}]), "struct<a: int64>"),
        ("quantity", pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "map<string, int64 ('quantity')>"),
        ("quantity", pa.array([b"abc"], pa.binary(3)), "fixed_size_binary[3]"),
        ("quantity", pa.array([1], pa.duration("s")), "duration[s]"),
        ("quantity", pa.array([True]), "bool"),
        ("quantity", pa.array([0], pa.date32()), "date32[day]"),
        ("account_id", pa.array([b"x" * 16], pa.uuid()), "extension<arrow.uuid>"),
        ("acquired_date", pa.array([20200102]), "int64"),
        ("acquired_date", pa.array([1], pa.timestamp("us", tz="Nowhere/Land")), "timestamp[us, tz=Nowhere/Land]"),
        ("currency", pa.array([["USD"]]), "list<element: string>"),
    ],
)
def test_a_type_that_no_cell_can_come_from_is_refused_by_name(
    tmp_path: Path, column: str, cells: pa.Array, found: str
) -> None:
    with pytest.raises(InputRefused) as refused:
        read_table("lots", lots_file(tmp_path, {column: cells}))
    assert str(refused.value).startswith(f"lots.parquet: the column {column} has the type {found}; needed {column}: ")


@pytest.mark.parametrize(
    "cells",
    [
        pa.array(["7"], pa.string_view()),
        pa.array(["7"], pa.large_string()),
        pa.array(["7"]).dictionary_encode(),
        pa.array([7]).dictionary_encode(),
        pa.array([7], pa.uint8()),
        pa.array([7.0], pa.float16()),
        pa.array([Decimal(7)], pa.decimal128(38, 30)),
    ],
)
def test_a_number_is_read_from_every_type_that_can_hold_it(tmp_path: Path, cells: pa.Array) -> None:
    raw = read_table("lots", lots_file(tmp_path, {"quantity": cells}))
    assert parse("lots", raw.frame, is_text=False)["quantity"].to_list() == [Decimal(7)]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([2**31 - 1], pa.int32()).cast(pa.date32()),
        pa.array([2**63 - 1], pa.timestamp("us")),
        pa.array([-(2**63)], pa.timestamp("us", tz="America/New_York")),
        pa.array([2**63 - 1], pa.timestamp("ns", tz="Asia/Tokyo")),
    ],
)
def test_a_date_beyond_the_calendar_is_unreadable_and_ends_nothing(tmp_path: Path, cells: pa.Array) -> None:
    raw = read_table("lots", lots_file(tmp_path, {"acquired_date": cells}))
    rows = parse("lots", raw.frame, is_text=False)
    assert rows.select("acquired_date", "unparsed").rows() == [(None, "acquired_date")]


def test_an_old_time_stamp_of_the_end_of_time_is_not_taken_for_one_long_past(tmp_path: Path) -> None:
    path = lots_file(tmp_path, {"acquired_date": pa.array([datetime(9999, 12, 31)])}, has_int96=True)  # noqa: DTZ001
    rows = parse("lots", read_table("lots", path).frame, is_text=False)
    assert rows["acquired_date"].to_list() == [date(9999, 12, 31)]


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"lots\.parquet cannot be read as Parquet: it is damaged or cut short"):
        read_table("lots", lots_file(tmp_path, {"lot_id": NOT_UTF_8}))


def test_a_column_that_means_nothing_is_not_read_whatever_it_holds(tmp_path: Path) -> None:
    table = read_table("lots", lots_file(tmp_path, {"note": NOT_UTF_8, "blob": pa.array([[{"a": b"\xff"}]])}))
    assert table.notices == tuple(f"lots.parquet: the column {name} is ignored" for name in ("note", "blob"))
    assert set(table.frame.columns) == {*LOT, "acquired_date", "is_frozen"}


def test_a_currency_is_looked_at_in_any_table(tmp_path: Path) -> None:
    raw = read_table("lots", lots_file(tmp_path, {"currency": pa.array(["EUR"])}))
    assert raw.notices == ()
    assert parse("lots", raw.frame, is_text=False)["unparsed"].to_list() == ["currency"]


def test_batches_are_numbered_through_and_an_empty_file_has_one(tmp_path: Path) -> None:
    path = tmp_path / "trades.parquet"
    rows = pl.DataFrame({name: ["x"] * 25 for name in ("account_id", "security_id", "trade_date", "side", "quantity")})
    rows = rows.with_columns(price_usd=1.0, realized_gain_usd=None)
    rows.write_parquet(path)
    batches = list(read_batches("trades", path, rows=10))
    assert [(batch.first_row, batch.frame.height) for batch in batches] == [(1, 10), (11, 10), (21, 5)]
    rows.clear().write_parquet(path)
    assert [batch.frame.height for batch in read_batches("trades", path)] == [0]
