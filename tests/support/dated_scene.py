"""The scene of ``tests/support/monitor_scene.py`` whose sources state their own date, and the run of what a look finds there."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from flows.nightly import NightResult
from schemas.settings import Settings
from schemas.sources import Source
from tasks.monitor.breach_batches import instruction_for
from tasks.pull.request import Request
from tasks.runtime.run_settings import use_settings
from tests.support.home_copy import copy_home
from tests.support.landing_book import rows_of
from tests.support.monitor_scene import BOOK, CUSTODIANS, LOTS, NIGHT, TODAY, Scene
from tests.support.night_driver import run_request

FORMAT: Final = """
name = "acme"
kind = "delimited"
files = "HOLD_{as_of:%Y%m%d}.txt"
separator = "|"
[header]
match = "HDR"
as_of = { field = 2, date = "%Y%m%d" }
sequence = { field = 3 }
[trailer]
match = "TRL"
[[records]]
kind = "POS"
match = "POS"
fields = { account = 2, security = 3, lot = 4, quantity = 5, cost = 6, bought = 7 }
[[records]]
kind = "CSH"
match = "CSH"
fields = { account = 2, settled = 3 }
[[tables]]
table = "lots"
records = "POS"
[tables.columns]
account_id = { field = "account" }
security_id = { field = "security" }
lot_id = { field = "lot" }
quantity = { field = "quantity" }
unit_cost_usd = { field = "cost" }
acquired_date = { field = "bought", date = "%Y-%m-%d" }
[[tables]]
table = "cash"
records = "CSH"
[tables.columns]
account_id = { field = "account" }
settled_usd = { field = "settled" }
pending_usd = { value = "0" }
"""
"""Lots and cash of a file that says of which day it is and which number it has."""


def served(name: str) -> dict[str, Any]:
    """What a custodian's source is for."""
    return {"name": name, "tables": ("lots", "cash"), "custodians": (CUSTODIANS[name][0],)}


@dataclass(frozen=True)
class DatedScene(Scene):
    """The scene whose files stand in folders named after their day, those of Acme in a format. ``other``: its custodian's, in place of a folder."""

    other: Source | None = None

    @property
    def settings(self) -> Settings:
        there = f"{self.folder}/{{as_of}}"
        sources = (
            Source(name="book", url=f"{there}/book"),
            Source(name="quotes", url=f"{there}/quotes", tables=("prices",)),
            Source(url=f"{there}/acme", format=f"{self.folder}/acme.toml", **served("acme")),
            self.other or Source(url=f"{there}/other", **served("other")),
        )
        return super().settings.model_copy(update={"sources": sources, "prices_url": f"{there}/fresh"})

    def send(self, name: str, deposit: float = 0) -> None:
        """Acme's statement, or the tables of the other one."""
        if name != "acme":
            super().send(name, deposit)
            return
        (self.folder / "acme.toml").write_text(FORMAT)
        lots, cash = holdings(name)
        positions = [f"POS|{'|'.join(row)}" for row in lots.rows()]
        balances = [f"CSH|{account}|{settled}" for account, settled, _ in cash.rows()]
        statement = self.folder / str(NIGHT) / "acme" / f"HOLD_{NIGHT:%Y%m%d}.txt"
        statement.parent.mkdir(parents=True)
        statement.write_text("\n".join([f"HDR|{NIGHT:%Y%m%d}|7", *positions, *balances, "TRL", ""]))

    def leave(self, *accounts: str) -> None:
        """The table ``accounts`` once more, without some."""
        self._write("book", {"accounts": rows_of(BOOK["accounts"]).filter(~pl.col("account_id").is_in(accounts))})

    def again(self, folder: Path) -> "DatedScene":
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("home"), dirs_exist_ok=True)
        copy_home(self.folder / "home", folder / "home")
        return DatedScene(folder, self.other)

    def request(self) -> Request:
        """What is asked for where stocks have fallen to 60: the scope that a look finds."""
        self.quote(60)
        (scope,) = self.look().breach_batch_ids
        with use_settings(self.settings):
            work = instruction_for(scope, "somebody")
        assert work.request is not None
        return work.request

    def threshold_run(self) -> NightResult:
        """The run of that scope."""
        return run_request(self.settings, self.request())

    def _write(self, name: str, tables: dict[str, pl.DataFrame]) -> None:
        super()._write(f"{TODAY if name == 'fresh' else NIGHT}/{name}", tables)


def holdings(name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lots and cash of a custodian's accounts."""
    whose = CUSTODIANS[name][1]
    cash = pl.DataFrame({"account_id": whose, "settled_usd": "200", "pending_usd": "0"})
    return rows_of(LOTS).filter(pl.col("account_id").is_in(whose)), cash
