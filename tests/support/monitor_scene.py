"""A night over four accounts at two custodians, all in band, and what comes after it: prices, cash, models, a late file."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from schemas.settings import Settings
from schemas.sources import Source
from tasks.monitor.breach_batches import MonitorResult, monitor_book
from tasks.runtime.steps import Stores
from tasks.runtime.stores import open_ledger, utc_now
from tests.support.home_copy import copy_home
from tests.support.landing_book import rows_of
from tests.support.night_driver import run_night
from warehouse.lake.lake import open_lake

NIGHT: Final = date(2026, 1, 5)
TODAY: Final = date(2026, 1, 6)
CUSTODIANS: Final = {"acme": ("Acme", ["A1", "A2"]), "other": ("Other", ["A3", "A4"])}
BOOK: Final = {
    "accounts": """
        account_id | household_id | custodian | tax_status | model_id | policy_id | status | short_term_rate | long_term_rate | cash_reserve_usd | ytd_short_gain_usd | ytd_long_gain_usd
        A1         |              | Acme      | taxable    | growth   | plain     | active | 0.3             | 0.2            | 0                | 0                  | 0
        A2         |              | Acme      | tax_exempt | income   | plain     | active | 0               | 0              | 0                | 0                  | 0
        A3         |              | Other     | tax_exempt | growth   | plain     | active | 0               | 0              | 0                | 0                  | 0
        A4         |              | Other     | taxable    | growth   | plain     | frozen | 0.3             | 0.2            | 0                | 0                  | 0
    """,
    "securities": """
        security_id | symbol | name      | asset_class | security_type | quantity_step | half_spread_bps | is_tradable
        STK         | STK    | Stock ETF | stocks      | etf           | 1             | 1               | true
        BND         | BND    | Bond ETF  | bonds       | etf           | 1             | 1               | true
    """,
    "model_targets": """
        model_id | asset_class | target_weight | absolute_band | relative_band
        growth   | stocks      | 0.6           | 0.05          |
        growth   | bonds       | 0.38          | 0.05          |
        growth   | cash        | 0.02          | 0.05          |
        income   | stocks      | 0.1           | 0.05          |
        income   | bonds       | 0.88          | 0.05          |
        income   | cash        | 0.02          | 0.05          |
    """,
    "policies": "policy_id\n plain",
    "buy_list": """
        model_id | asset_class | security_id | rank | tax_status
        growth   | stocks      | STK         | 1    |
        growth   | bonds       | BND         | 1    |
        income   | stocks      | STK         | 1    |
        income   | bonds       | BND         | 1    |
    """,
}
LOTS: Final = """
    account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date
    A1         | STK         | 1      | 60       | 90            | 2020-01-02
    A1         | BND         | 1      | 38       | 90            | 2020-01-02
    A2         | STK         | 1      | 10       | 90            | 2020-01-02
    A2         | BND         | 1      | 88       | 90            | 2020-01-02
    A3         | STK         | 1      | 60       | 90            | 2020-01-02
    A3         | BND         | 1      | 38       | 90            | 2020-01-02
    A4         | STK         | 1      | 60       | 90            | 2020-01-02
    A4         | BND         | 1      | 38       | 90            | 2020-01-02
"""


@dataclass(frozen=True)
class Scene:
    """A folder with what sources deliver, and the home beside it."""

    folder: Path

    @property
    def settings(self) -> Settings:
        book = Source(name="book", url=f"{self.folder}/book")
        late = [
            Source(name=name, url=f"{self.folder}/{name}", tables=("lots", "cash"), custodians=(custodian,))
            for name, (custodian, _) in CUSTODIANS.items()
        ]
        prices = Source(name="quotes", url=f"{self.folder}/quotes", tables=("prices",))
        return Settings(
            home=self.folder / "home",
            sources=(book, prices, *late),
            prices_url=f"{self.folder}/fresh",
            accounts_per_shard=2,
            guard_min_accounts=1000,
        )

    def delivered(self, *custodians: str) -> "Scene":
        """Everything that the night takes; of custodians those named."""
        self._write("book", {table: rows_of(text) for table, text in BOOK.items()})
        self._write("quotes", {"prices": prices_on(NIGHT, stocks=100)})
        for name in custodians:
            self.send(name)
        return self

    def send(self, name: str, deposit: float = 0) -> None:
        """A custodian's files; with a deposit to its first account."""
        whose = CUSTODIANS[name][1]
        lots = rows_of(LOTS).filter(pl.col("account_id").is_in(whose))
        settled = [200.0 + deposit, *[200.0] * (len(whose) - 1)]
        cash = pl.DataFrame({"account_id": whose, "settled_usd": settled, "pending_usd": 0})
        self._write(name, {"lots": lots, "cash": cash})

    def target(self, stocks: float) -> None:
        """Another target of the model ``growth``."""
        rows = rows_of(BOOK["model_targets"])
        weights = pl.Series([str(stocks), str(round(0.98 - stocks, 6)), *rows["target_weight"][2:]])
        self._write("book", {"model_targets": rows.with_columns(target_weight=weights)})

    def quote(self, stocks: float, day: date = TODAY) -> None:
        """Fresh prices."""
        self._write("fresh", {"prices": prices_on(day, stocks=stocks)})

    def night(self) -> str:
        """The night of ``NIGHT``; its run."""
        return run_night(self.settings, None, NIGHT).run_id

    @contextmanager
    def stores(self) -> Iterator[Stores]:
        settings = self.settings
        with closing(open_ledger(settings)) as ledger:
            yield Stores(settings, open_lake(settings), ledger)

    def look(self, *, is_dry: bool = False) -> MonitorResult:
        with self.stores() as at:
            return monitor_book(at, TODAY, utc_now(), is_dry=is_dry)

    def again(self, folder: Path) -> "Scene":
        """The same at another place, whose ledger and lake go their own way."""
        there = Scene(folder)
        for name in ("book", "quotes", *CUSTODIANS):
            for path in (self.folder / name).glob("*.csv"):
                there._write(name, {path.stem: pl.read_csv(path, infer_schema=False)})
        copy_home(self.folder / "home", folder / "home")
        return there

    def _write(self, name: str, tables: dict[str, pl.DataFrame]) -> None:
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        for table, rows in tables.items():
            rows.write_csv(self.folder / name / f"{table}.csv")


def prices_on(day: date, *, stocks: float) -> pl.DataFrame:
    return pl.DataFrame({"security_id": ["STK", "BND"], "price_usd": [float(stocks), 100.0], "price_date": day})
