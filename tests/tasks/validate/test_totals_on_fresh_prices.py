"""What a custodian says an account is worth holds at the custodian's prices: a run at other prices is not judged by it."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import Outcome, RunKind
from schemas.settings import Settings
from tests.support.landing_book import AS_OF, rows_of, sound_book, write_book
from tests.support.night_driver import run_night
from warehouse.lake.lake import open_lake

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

ACCOUNTS = ("A1", "A2", "A3")


@pytest.mark.parametrize(
    ("kind", "totals", "reason"),
    [
        (RunKind.THRESHOLD, "A1 | 1387.5 | 2", None),
        (RunKind.THRESHOLD, "A1 | 1387.5 | 3", "lot_count_as_delivered"),
        (RunKind.MANUAL, "A1 | 1387.5 | 2", "value_usd_as_delivered"),
    ],
)
def test_the_value_is_judged_at_the_prices_of_the_night_alone(
    tmp_path: Path, kind: RunKind, totals: str, reason: str | None
) -> None:
    settings = Settings(
        home=tmp_path / "home", max_quarantined_fraction=1.0, max_run_turnover=None, max_price_move=None
    )
    night = {**sound_book(), "account_totals": rows_of("account_id | value_usd | lot_count\nA1 | 1387.5 | 2")}
    prices = pl.col("price_usd").cast(pl.Float64) * 1.15
    fresh = {
        **night,
        "account_totals": rows_of(f"account_id | value_usd | lot_count\n{totals}"),
        "prices": night["prices"].with_columns(
            prices.cast(pl.String), price_date=pl.lit(str(AS_OF + timedelta(days=1)))
        ),
    }
    for folder, book in (("night", night), ("fresh", fresh)):
        (tmp_path / folder).mkdir()
        write_book(tmp_path / folder, book, "csv")
    run_night(settings, tmp_path / "night", AS_OF)

    run = run_night(settings, tmp_path / "fresh", AS_OF + timedelta(days=1), kind=kind, scope=ACCOUNTS)

    outcomes = open_lake(settings).read("account_outcomes", run.run_id).filter(account_id="A1").row(0, named=True)
    assert (outcomes["outcome"] == Outcome.QUARANTINED) is (reason is not None)
    assert (reason or "") in (outcomes["reason"] or "")
