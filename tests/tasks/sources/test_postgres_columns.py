from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.errors import InputRefused
from schemas.sources import Source
from schemas.units import EXACT
from tasks.core.gate.parsing import parse
from tasks.formats.contract_file import read_table
from tasks.sources.postgres import fetch
from tasks.sources.postgres_columns import PostgresColumn, quote_name, select
from tests.support.servers import Postgres

AS_OF = date(2026, 1, 2)
SOURCE = Source(name="ledger", url="postgresql://u@host/book", schema_name="landing").on(AS_OF)
PRICE = {"security_id": "'S'::text", "price_usd": "1::numeric", "price_date": "DATE '2026-01-02'"}


def parsed(postgres: Postgres, folder: Path, **cells: str) -> pl.DataFrame:
    """The one row of the table ``prices`` with cells given in SQL, as the gate gets it."""
    schema = postgres.new_schema()
    chosen = ", ".join(f"{cell} AS {name}" for name, cell in {**PRICE, **cells}.items())
    postgres.run(
        schema,
        "CREATE TYPE size AS ENUM ('small', 'large')",
        "CREATE DOMAIN money6 AS numeric(18, 6)",
        "CREATE DOMAIN money6_again AS money6",
        f"CREATE TABLE prices AS SELECT {chosen}",
    )
    source = SOURCE.model_copy(update={"url": postgres.url(), "schema_name": schema})
    (file,) = fetch(source, is_wanted="prices.parquet".__eq__, staging=folder)
    table = read_table("prices", file.path)
    return parse("prices", table.frame, is_text=table.is_text)


@pytest.mark.parametrize(
    ("cell", "identifier"),
    [
        ("'AB'::text", "AB"),
        ("'AB'::varchar(10)", "AB"),
        ("'AB'::char(6)", "AB"),
        ("'AB'::name", "AB"),
        ("'large'::size", "large"),
        ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("7::smallint", "7"),
        ("7::int", "7"),
        ("9007199254740993::bigint", "9007199254740993"),
        ("12345678901234567890::numeric(20,0)", "12345678901234567890"),
        ("'Füße'::text", "Füße"),
    ],
)
def test_an_identifier_may_have_any_usual_type(postgres: Postgres, tmp_path: Path, cell: str, identifier: str) -> None:
    row = parsed(postgres, tmp_path, security_id=cell)
    assert (row["security_id"].to_list(), row["unparsed"].to_list()) == ([identifier], [None])


@pytest.mark.parametrize(
    ("cell", "amount"),
    [
        ("0.1::numeric", "0.1"),
        ("123456789012.123456::numeric(18,6)", "123456789012.123456"),
        ("1e-6::numeric", "0.000001"),
        ("100000::numeric", "100000"),
        ("12.5::money6", "12.5"),
        ("12345.67::real", "12345.67"),
        ("0.1::real", "0.1"),
        ("0.1::double precision", "0.1"),
        ("123456789.123456::double precision", "123456789.123456"),
        ("7::int", "7"),
        ("7::bigint", "7"),
        ("' 7.50'::text", "7.5"),
    ],
)
def test_an_amount_is_exact_in_any_usual_type(postgres: Postgres, tmp_path: Path, cell: str, amount: str) -> None:
    row = parsed(postgres, tmp_path, price_usd=cell)
    assert row["price_usd"].to_list() == pl.Series([amount]).cast(EXACT).to_list()
    assert row["unparsed"].to_list() == [None]


@pytest.mark.parametrize(
    "cell",
    ["DATE '2026-01-02'", "TIMESTAMP '2026-01-02 00:00'", "TIMESTAMPTZ '2026-01-02 00:00+00'", "'2026-01-02'::text"],
)
def test_a_day_is_a_day_in_any_usual_type(postgres: Postgres, tmp_path: Path, cell: str) -> None:
    assert parsed(postgres, tmp_path, price_date=cell)["price_date"].to_list() == [AS_OF]


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        ({"price_usd": "'NaN'::numeric"}, "NaN"),
        ({"price_usd": "'Infinity'::float8"}, "inf"),
        ({"price_usd": "0.1234567::numeric"}, "0.1234567"),
        ({"price_date": "DATE 'infinity'"}, "infinity"),
        ({"price_date": "TIMESTAMP 'infinity'"}, "infinity"),
        ({"price_date": "DATE '0044-03-15 BC'"}, "0044-03-15 BC"),
        ({"price_date": "TIMESTAMP '2026-01-02 16:00'"}, "2026-01-02 16:00:00"),
        ({"price_date": "TIMESTAMPTZ '2026-01-02 00:00-05'"}, "2026-01-02 05:00:00"),
    ],
)
def test_a_value_that_is_none_of_ours_is_set_aside_as_it_stood(
    postgres: Postgres, tmp_path: Path, cells: dict[str, str], shown: str
) -> None:
    (row,) = parsed(postgres, tmp_path, **cells).iter_rows(named=True)
    (name,) = cells
    assert row["unparsed"] == name
    assert f'"{name}":"{shown}"' in row["raw"]


@pytest.mark.parametrize("value", ["true", "false", "NULL"])
def test_a_truth_arrives(postgres: Postgres, tmp_path: Path, value: str) -> None:
    schema = postgres.new_schema()
    postgres.run(schema, f"CREATE TABLE lots AS SELECT 'A' AS account_id, {value}::boolean AS is_frozen")
    source = SOURCE.model_copy(update={"url": postgres.url(), "schema_name": schema})
    (file,) = fetch(source, is_wanted=lambda _: True, staging=tmp_path)
    assert pl.read_parquet(file.path)["is_frozen"].to_list() == [{"true": True, "false": False}.get(value)]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("5::money", "money"),
        ("5::oid", "oid"),
        ("'{5}'::int[]", "_int4"),
        ("'5'::jsonb", "jsonb"),
        ("'5'::bytea", "bytea"),
        ("TIME '10:00'", "time"),
        ("5::money6_again", "money6_again"),
    ],
)
def test_a_type_that_holds_no_such_value_is_refused_by_name(
    postgres: Postgres, tmp_path: Path, cell: str, kind: str
) -> None:
    said = rf"book\d+\.prices: the column price_usd has the type {kind}; needed price_usd: the price(.|\n)*cast it in a view"
    with pytest.raises(InputRefused, match=said):
        parsed(postgres, tmp_path, price_usd=cell)


def test_a_date_of_the_night_that_is_no_date_is_refused(postgres: Postgres, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"the column as_of_date has the type text; needed date, to choose"):
        parsed(postgres, tmp_path, as_of_date="'2026-01-02'::text")


def column(name: str, kind: str, **more: Any) -> PostgresColumn:
    return PostgresColumn(
        **{"name": name, "type": kind, "base_type": kind, "is_enum": False, "is_collated": False, **more}
    )


def test_the_key_sorts_first_then_the_rest_by_value_and_not_as_text() -> None:
    columns = [column("settled_usd", "numeric"), column("account_id", "text", is_collated=True), column("note", "text")]
    query = select(SOURCE, "cash", columns)
    assert query.endswith('FROM "landing"."cash" AS t ORDER BY t."account_id" COLLATE "C", t."settled_usd"')


def test_rows_of_the_night_are_chosen_by_a_literal_of_our_own() -> None:
    query = select(SOURCE, "cash", [column("as_of_date", "date"), column("account_id", "int4")])
    assert query == (
        'SELECT t."account_id" AS "account_id" FROM "landing"."cash" AS t'
        ' WHERE t."as_of_date" = DATE \'2026-01-02\' ORDER BY t."account_id"'
    )


def test_a_quoted_name_cannot_end_early() -> None:
    assert quote_name('x"; drop table lots; --') == '"x""; drop table lots; --"'
