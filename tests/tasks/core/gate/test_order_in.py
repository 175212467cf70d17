"""What purchases are ordered in, and labels of securities: what a wrong one costs."""

import polars as pl
import pytest

from tests.support.landing_book import gated, parsed, sound_book


def book(security: str = "BND", **cells: str | None) -> dict[str, pl.DataFrame]:
    """The sound book with columns that a source may leave out, filled for one security."""
    found = sound_book()
    is_it = pl.col("security_id") == security
    changes = {name: pl.when(is_it).then(pl.lit(value, pl.String)) for name, value in cells.items()}
    return {**found, "securities": found["securities"].with_columns(**changes)}


def bonds(unit: str) -> dict[str, pl.DataFrame]:
    found = book(price_factor="0.01", order_in=unit)
    is_it = pl.col("security_id") == "BND"
    rows = found["securities"].with_columns(
        security_type=pl.when(is_it).then(pl.lit("bond")).otherwise("security_type")
    )
    return {**found, "securities": rows}


def quarantined(found: dict[str, pl.DataFrame]) -> tuple[set[str], list[str]]:
    """Accounts, and messages of rows of securities."""
    common, own = gated(parsed(found))
    return set(own.accounts["account_id"]), common.quarantine.filter(table_name="securities")["message"].to_list()


@pytest.mark.parametrize("unit", ["shares", "usd", "", None])
def test_shares_dollars_and_nothing_are_sound(unit: str | None) -> None:
    assert quarantined(book(order_in=unit)) == (set(), [])


@pytest.mark.parametrize("unit", ["dollars", "USD", "notional", "1"])
def test_another_word_costs_the_holders_for_nobody_knows_what_would_be_ordered(unit: str) -> None:
    accounts, (message,) = quarantined(book(order_in=unit))
    assert accounts == {"A1", "A3"}
    assert message == f"securities.csv row 2: order_in is {unit}; needed one of shares, usd."


def test_a_bond_is_not_ordered_in_dollars() -> None:
    assert quarantined(bonds("shares")) == (set(), [])
    accounts, (message,) = quarantined(bonds("usd"))
    assert accounts == {"A1", "A3"}
    assert message.endswith(
        "order_in is usd; needed shares, or nothing: a bond's quantity is its face amount, which is dollars already."
    )


@pytest.mark.parametrize("column", ["cusip", "isin"])
@pytest.mark.parametrize("text", ["wrong", "037833101", "US0378331006", "x" * 200, "=1+1"])
def test_a_label_that_cannot_be_right_stops_nobody(column: str, text: str) -> None:
    assert quarantined(book(**{column: text})) == (set(), [])
