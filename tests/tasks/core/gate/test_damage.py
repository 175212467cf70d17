"""However a cell is damaged, its row reads as it was, or every account that the row could concern is not traded."""

from typing import Final

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import InputRefused
from schemas.landing import OPTIONAL_COLUMNS
from schemas.landing_columns import dtypes
from tests.support.examples import at_most
from tests.support.landing_book import gated, parsed, rows_of, sound_book

NAMES: Final = ("account_id", "security_id", "model_id", "policy_id", "household_id", "asset_class")
FREE: Final = ("name", "symbol", "custodian", "lot_id")
"""Words that nothing can be checked against; so is a class, unless it is a respelling of another."""
RESPELT: Final = {
    "lower": str.lower,
    "upper": str.upper,
    "space before": lambda text: f" {text}",
    "hard space behind": lambda text: f"{text}\u00a0",
    "space inside": lambda text: f"{text[0]} {text[1:]}",
    "zeros": lambda text: text[:1] + "0" + text[1:] if text[1:].isdigit() else text,
    "wide digits": lambda text: text.translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)}),
    "spreadsheet text": lambda text: f'="{text}"',
    "hyphen": lambda text: f"{text[0]}-{text[1:]}",
}
GARBAGE: Final = ("#N/A", "???", "\u2013", "~")
TOTALS: Final = """
    account_id | value_usd | lot_count
    A1         | 1387.5    | 2
    A2         | 703.5     | 1
    A3         | 150       | 1
"""
BOOK: Final = {**sound_book(), "account_totals": rows_of(TOTALS)}


def concerned(table: str, row: dict[str, str | None]) -> set[str]:
    """Accounts whose value, or a rule about them, depends on the row."""
    accounts = {str(one["account_id"]): one for one in BOOK["accounts"].iter_rows(named=True)}
    joint = {name for name, one in accounts.items() if one["household_id"] == "H1"}
    if table in {"accounts", "lots", "cash", "trades", "restrictions"}:
        return {str(row["account_id"])} if row["account_id"] else set(accounts)
    if table in {"securities", "prices"}:
        held = BOOK["lots"].filter(pl.col("security_id") == row["security_id"])
        return set(held["account_id"])
    if table in {"model_targets", "buy_list", "location_preferences"}:
        own = {name for name, one in accounts.items() if one["model_id"] == row["model_id"]}
        return own | (joint if row["model_id"] == "growth" else set())
    if table == "policies":
        return set(accounts)
    return joint if table == "households" else set()


@st.composite
def damages(draw: st.DrawFn) -> tuple[str, int, str, str]:
    """A table, a row (0 = first), a column and what stands there now."""
    table = draw(st.sampled_from(sorted(BOOK)))
    place = draw(st.integers(0, BOOK[table].height - 1))
    columns = [name for name in BOOK[table].columns if name not in FREE and BOOK[table][name][place] is not None]
    column = draw(st.sampled_from(columns))
    was = str(BOOK[table][column][place])
    ways = [] if column == "asset_class" else [*GARBAGE]
    if column in NAMES:
        ways += [respell(was) for respell in RESPELT.values()]
    if column not in OPTIONAL_COLUMNS[table]:
        ways.append("")
    return table, place, column, draw(st.sampled_from(ways))


@settings(max_examples=at_most(100), deadline=None)
@given(damages())
def test_a_damaged_row_reads_as_it_was_or_costs_all_that_it_could_concern(damage: tuple[str, int, str, str]) -> None:
    table, place, column, cell = damage
    here = pl.int_range(pl.len()) == place
    rows = BOOK[table].with_columns(pl.when(here).then(pl.lit(cell)).otherwise(column).alias(column))
    tables = parsed(BOOK | {table: rows})
    typed = list(dtypes(table))
    if tables[table].select(typed).equals(parsed(BOOK)[table].select(typed)):
        return
    try:
        common, own = gated(tables)
    except InputRefused:
        return
    delivered = set(tables["accounts"]["account_id"].drop_nulls())
    traded = delivered - set(own.accounts["account_id"])
    assert not traded & concerned(table, BOOK[table].row(place, named=True)), (common.quarantine, own.accounts)


def test_the_book_is_sound() -> None:
    _, own = gated(parsed(BOOK))
    assert own.accounts.is_empty()
    assert own.vouched.to_list() == ["A1", "A2", "A3"]
