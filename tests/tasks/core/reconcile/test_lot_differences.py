"""What it costs in tax that other lots were closed than proposed."""

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from schemas.tables import PUBLIC
from tasks.core.reconcile.lot_differences import relief_differences

SOLD = date(2026, 3, 3)
OLD, NEW = date(2020, 1, 2), date(2025, 12, 1)
LOT = dict.fromkeys(("order_id", "lot_id"), pl.String()) | {"acquired_date": pl.Date()}
LOT |= dict.fromkeys(("quantity", "unit_cost_usd"), pl.Decimal(18, 6))
RATES = pl.DataFrame({"proposal_id": ["p"], "marginal_short_rate": [0.4], "marginal_long_rate": [0.2]})
Lots = list[tuple[str | None, int, int | None, date | None]]
"""Id, shares, cost of one, day."""


def lots(rows: Lots) -> pl.DataFrame:
    return pl.DataFrame(
        [
            ("o", name, day, Decimal(shares), None if cost is None else Decimal(cost))
            for name, shares, cost, day in rows
        ],
        schema=LOT,
        orient="row",
    )


def differences(
    proposed: Lots, reported: Lots, *, filled: int = 3, factor: str | None = None, rates: pl.DataFrame = RATES
) -> pl.DataFrame:
    """Those of one sell at 10 USD."""
    sells = pl.DataFrame(
        {
            "order_id": ["o"],
            "proposal_id": ["p"],
            "account_id": ["a"],
            "symbol": ["S"],
            "price_factor": pl.Series([factor], dtype=pl.String).cast(pl.Decimal(18, 6)),
            "filled_quantity": pl.Series([filled]).cast(pl.Decimal(18, 6)),
            "average_price_usd": pl.Series([10]).cast(pl.Decimal(18, 6)),
            "last_trade_date": [SOLD],
        }
    )
    relief = lots(proposed).with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in PUBLIC["lot_relief"].items() if name not in LOT
    )
    return relief_differences(sells, relief, lots(reported), rates)


def difference(proposed: Lots, reported: Lots, **options: Any) -> dict[str, Any]:
    return differences(proposed, reported, **options).row(0, named=True)


def taxes(row: dict[str, Any]) -> tuple[Decimal, Decimal, Decimal]:
    return row["proposed_tax_usd"], row["relieved_tax_usd"], row["tax_difference_usd"]


def test_the_lots_that_were_proposed_make_no_difference() -> None:
    both: Lots = [("l1", 1, 4, OLD), ("l2", 2, 9, NEW)]
    row = difference(both, both)
    assert (row["told_quantity"], row["as_proposed_quantity"]) == (3, 3)
    assert taxes(row) == (Decimal(2), Decimal(2), 0)  # 1 x 6 x 0.2 + 2 x 1 x 0.4


def test_other_lots_cost_their_own_tax_at_their_own_term() -> None:
    row = difference([("l1", 1, 4, OLD), ("l2", 2, 9, OLD)], [("l1", 1, 4, OLD), ("l9", 2, 6, NEW)])
    assert (row["told_quantity"], row["as_proposed_quantity"]) == (3, 1)
    assert taxes(row) == (Decimal("1.6"), Decimal("4.4"), Decimal("2.8"))


def test_a_lot_without_a_name_is_that_of_its_date_and_cost() -> None:
    row = difference([("l1", 3, 4, OLD)], [(None, 3, 4, OLD)])
    assert row["as_proposed_quantity"] == 3
    assert difference([("l1", 3, 4, OLD)], [(None, 3, 4, NEW)])["as_proposed_quantity"] == 0


def test_of_an_order_filled_in_part_the_lots_with_the_least_tax_were_meant() -> None:
    row = difference([("dear", 2, 1, OLD), ("cheap", 2, 12, OLD)], [("cheap", 2, 12, OLD), ("dear", 1, 1, OLD)])
    assert row["as_proposed_quantity"] == 3
    assert row["tax_difference_usd"] == 0
    assert taxes(difference([("dear", 2, 1, OLD), ("cheap", 2, 12, OLD)], [("dear", 2, 1, OLD)], filled=2)) == (
        Decimal("-0.8"),
        Decimal("3.6"),
        Decimal("4.4"),
    )


@pytest.mark.parametrize("unknown", [(None, OLD), (4, None)])
def test_a_lot_without_a_cost_or_a_date_counts_no_tax(unknown: tuple[int | None, date | None]) -> None:
    cost, day = unknown
    assert taxes(difference([("l1", 3, cost, day)], [("l2", 3, 4, OLD)])) == (0, Decimal("3.6"), Decimal("3.6"))


def test_a_bond_gains_by_its_factor_and_a_proposal_without_rates_pays_nothing() -> None:
    assert difference([("l1", 3, 4, OLD)], [("l1", 3, 4, NEW)], factor="0.01")["tax_difference_usd"] == Decimal("0.036")
    assert taxes(difference([("l1", 3, 4, OLD)], [("l2", 3, 4, NEW)], rates=RATES.clear())) == (0, 0, 0)


def test_a_sell_of_which_no_lots_were_reported_has_no_row() -> None:
    assert differences([("l1", 3, 4, OLD)], []).is_empty()
