from decimal import Decimal

import polars as pl

from tasks.core.export.block_checks import block_warnings
from tasks.core.export.package import ExportPackage
from tests.support.packages import release

CROSSED = (
    ("A1", "sell", "S2", "12", "410.25"),
    ("A2", "buy", "S2", "5", "410.25"),
    ("-A3", "buy", "S2", "7", "410.25"),
)
"""A1 and A2 are a household at one custodian, -A3 is at another."""


def found(gain: int) -> list[tuple[str, ...]]:
    """Warnings of the orders above, every lot sold at this gain."""
    made = release(CROSSED)
    lots = made.lots.with_columns(gain_usd=pl.lit(Decimal(gain)))
    warnings = block_warnings(ExportPackage(made.export, made.orders, lots, made.blocks))
    return warnings.select("code", "custodian", "symbol", "account_ids", "sold_quantity", "bought_quantity").rows()


def test_a_security_on_one_side_alone_is_no_cross() -> None:
    assert block_warnings(release()).is_empty()


def test_both_sides_of_a_security_at_one_custodian_are_a_cross() -> None:
    assert found(5) == [("agency_cross", "Acme, Inc", "BRK.B", "", "12", "5")]


def test_a_loss_that_the_household_buys_back_is_a_wash_sale_and_a_stranger_is_not() -> None:
    assert found(-5) == [
        ("agency_cross", "Acme, Inc", "BRK.B", "", "12", "5"),
        ("wash_sale", "Acme, Inc", "BRK.B", "A1|A2", "12", "5"),
    ]


def test_the_sentence_says_who_trades_what() -> None:
    made = release((("A1", "sell", "S2", "12", "410.25"), ("A2", "buy", "S2", "5", "410.25")))
    (message,) = block_warnings(made)["message"]
    assert message == (
        "BRK.B is sold for 1 of the accounts at Acme, Inc and bought for 1; nothing is crossed between them here"
    )
