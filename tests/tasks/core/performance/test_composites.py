"""Many accounts together: by hand, and against the accounts taken apart."""

from datetime import date
from typing import Final

import numpy as np
import polars as pl
import pytest

from schemas.tables import PUBLIC
from tasks.core.performance.composites import composite_nights, dispersion, linked_return, with_base
from tasks.core.performance.periods import by_month, effects_over, over_period

DAY: Final = date(2026, 1, 29)


def rows(*nights: tuple[str, int, float, float, float | None, float | None, str]) -> pl.DataFrame:
    """Account, night, value, flow, return, the model's, and the model from then on."""
    names = ("account_id", "night", "value_usd", "flow_usd", "daily_return", "model_return", "model_id")
    drawn = pl.DataFrame(nights, schema=names, orient="row")
    return drawn.with_columns(
        night_date=pl.lit(DAY) + pl.duration(days="night"),
        since_date=pl.lit(DAY) + pl.duration(days=pl.col("night") - 1),
    )


TWO: Final = rows(
    ("a", 0, 100, 0, None, None, "m"),
    ("a", 1, 160, 50, 0.10, 0.08, "m"),
    ("a", 2, 144, 0, -0.10, -0.08, "m"),
    ("b", 0, 300, 0, None, None, "m"),
    ("b", 1, 306, 0, 0.02, 0.08, "n"),
    ("b", 2, 153, -150, -0.0098, -0.08, "n"),
)


def test_accounts_count_by_what_they_began_with() -> None:
    nights = composite_nights(with_base(TWO))
    assert nights["account_count"].to_list() == [2, 2]
    assert nights["base_usd"].to_list() == pytest.approx([400, 160 + 303 / (1 - 0.0098)])
    assert nights["daily_return"][0] == pytest.approx((10 + 6) / 400)
    assert nights["model_return"].to_list() == pytest.approx([0.08, -0.08])


def test_a_household_is_one_account_of_all_its_money() -> None:
    """What two accounts earn together is what one of their sums would."""
    nights = composite_nights(with_base(TWO))
    first = (160 + 306 - 50) / 400 - 1
    assert nights["daily_return"][0] == pytest.approx(first)


def test_a_night_belongs_to_the_model_of_the_night_before() -> None:
    based = with_base(TWO)
    assert based.select("account_id", "night", "model_then").rows() == [
        ("a", 1, "m"),
        ("a", 2, "m"),
        ("b", 1, "m"),
        ("b", 2, "n"),
    ]


def test_a_night_that_lost_everything_has_no_base() -> None:
    assert with_base(rows(("a", 0, 100, 0, None, None, "m"), ("a", 1, 0, 0, -1.0, 0.0, "m"))).is_empty()


def test_spread_is_of_accounts_that_were_in_it_throughout() -> None:
    late = rows(("c", 1, 10, 0, None, None, "m"), ("c", 2, 11, 0, 0.1, 0.0, "m"))
    found = dispersion(with_base(pl.concat([TWO, late])))
    one, two = 1.1 * 0.9 - 1, 1.02 * (1 - 0.0098) - 1
    assert found["account_count"] == 2
    assert found["spread"] == pytest.approx(abs(one - two) / 2)
    mean = (100 * one + 300 * two) / 400
    assert found["weighted_spread"] == pytest.approx(np.sqrt((100 * (one - mean) ** 2 + 300 * (two - mean) ** 2) / 400))
    assert (found["low"], found["high"]) == pytest.approx((one, two))
    assert found["median"] == pytest.approx((one + two) / 2)


def test_one_account_has_no_spread() -> None:
    found = dispersion(with_base(TWO.filter(pl.col("account_id") == "a")))
    assert (found["account_count"], found["spread"], found["weighted_spread"]) == (1, None, None)
    assert found["median"] == pytest.approx(1.1 * 0.9 - 1)


def test_a_record_reads_by_months_and_over_all() -> None:
    own = TWO.filter(pl.col("account_id") == "a")
    months = by_month(own)
    assert months["month"].to_list() == [date(2026, 1, 1)]
    assert months["night_count"].to_list() == [3]
    assert over_period(own) == pytest.approx(
        {"earned": -0.01, "model": 1.08 * 0.92 - 1, "difference": -0.01 - 1.08 * 0.92 + 1}
    )
    later = own.with_columns(night_date=pl.col("night_date").dt.offset_by("2d"))
    assert by_month(later)["month"].to_list() == [date(2026, 1, 1), date(2026, 2, 1)]
    linked = own.select(linked_return(pl.col("daily_return"))).item()
    assert linked == pytest.approx((1 + by_month(later)["earned"]).product() - 1)


def test_effects_are_summed_over_nights_and_classes() -> None:
    names = ("allocation", "trading_cost", "tax", "residual", "tracking_difference")
    found = effects_over(
        pl.DataFrame(
            [dict.fromkeys(names, 0.5), dict.fromkeys(names, 0.25), dict.fromkeys(names)],
            schema={name: PUBLIC["attribution"][name] for name in names},
        )
    )
    assert found == dict.fromkeys(names, 0.75)
