"""The golden nights: one home, two nights with people, an export and a broker between them, and a run that somebody asked for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from getpass import getuser
from pathlib import Path
from typing import Final

import polars as pl
from typer.testing import CliRunner

from flows.commands.cli import app
from schemas.enums import ProfileFormat, RunKind
from schemas.exports import Profile
from schemas.settings import Settings
from schemas.sources import Source
from schemas.tables import PUBLIC
from tasks.runtime.run_settings import use_settings
from tests.support.night_driver import run_night
from warehouse.lake.lake import open_lake
from warehouse.lake.public_query import LEDGER_VIEWS, open_reader

HERE: Final = Path(__file__).parent
FIRST, SECOND = date(2023, 12, 29), date(2024, 1, 2)
"""The last session of a year, and the first of the next: of its week, month, quarter and year too."""
CUSTODIANS: Final = {"harbor": "Harbor", "quarry": "Quarry"}
"""By source: custodians that send lots and cash themselves. On the second night one sends nothing, the other what is no table."""
ASKED: Final = ("in-band", "drifted", "cooled-down", "q-released-basis", "U1001", "U1002")
FILLED: Final = ("fills-not-shown", "fills-shown")
EXPIRED, REJECTED = "cooled-down", "q-released-basis"
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "proposals": ("account_id",),
    "orders": ("account_id", "side", "symbol"),
    "lot_relief": ("account_id", "security_id", "lot_id"),
    "quarantine": ("table_name", "landed_row"),
    "released_rows": ("table_name", "landed_row"),
}
"""By table: what its rows are sorted by first, where its first columns are hashes."""
TIMES: Final = r"^(at|\w+_at)$"
"""Columns that say when something happened, which nothing else depends on."""
UNREPRODUCIBLE: Final[Mapping[str, tuple[str, ...]]] = {
    "audit": ("previous_hash", "hash"),
    "runs": ("code_version",),
}
"""By view of the ledger: columns that are left out beside ``TIMES``. Hashes of the audit chain hold times; the version moves on."""
PROFILES: Final = tuple(
    Profile(
        name=f"as-{profile_format}",
        format=profile_format,
        sender="TRIMTAB" if "fix" in profile_format else "",
        target="BROKER" if "fix" in profile_format else "",
        mapping=str(HERE / "mapping.toml") if profile_format is ProfileFormat.MAPPED else "",
        custodians=("Birch",) if profile_format in {ProfileFormat.IBKR_BASKET, ProfileFormat.IBKR_ALLOCATION} else (),
    )
    for profile_format in ProfileFormat
)
"""Every way in which an export may be written too."""


@dataclass(frozen=True)
class GoldenNights:
    """What the nights left: run ids by label, and the text of every file to compare, by path."""

    runs: Mapping[str, str]
    files: Mapping[str, str]


class Home:
    """A home whose runs, tables and exports are kept as text."""

    def __init__(self, folder: Path) -> None:
        own = [
            Source(name=name, url=f"{HERE}/landing/{{as_of}}/{name}", tables=("lots", "cash"), custodians=(custodian,))
            for name, custodian in CUSTODIANS.items()
        ]
        book = Source(name="book", url=f"{HERE}/landing/{{as_of}}/book")
        self.settings = Settings(
            home=folder,
            sources=(book, *own),
            max_quarantined_fraction=1,
            max_run_turnover=None,
            max_price_move=None,
        )
        self.runs: dict[str, str] = {}

    def night(self, label: str, as_of: date, *accounts: str) -> str:
        kind = RunKind.MANUAL if accounts else RunKind.NIGHTLY
        self.runs[label] = run_night(self.settings, None, as_of, kind=kind, scope=accounts).run_id
        return self.runs[label]

    def command(self, *words: str) -> str:
        """What ``trimtab`` prints."""
        with use_settings(self.settings):
            done = CliRunner().invoke(app, list(words))
        assert done.exit_code == 0, (words, done.output, done.exception)
        return done.stdout

    def table(self, table: str, run_id: str) -> pl.DataFrame:
        """A public table of a run, sorted by its key."""
        key = KEYS.get(table, ())
        return open_lake(self.settings).read(table, run_id).sort(*key, pl.exclude(key))

    def proposal(self, run_id: str, account_id: str) -> str:
        """Id of the account's proposal."""
        return str(self.table("proposals", run_id).filter(pl.col("account_id") == account_id)["proposal_id"].item())

    def without_times(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows without ``TIMES``, and without the names of whoever runs this and of this home."""
        found = pl.col(pl.String)
        for name, stands_for in {
            f'"{getuser()}"': '"ME"',
            str(self.settings.home): "HOME",
            str(HERE): "GOLDEN",
        }.items():
            found = found.str.replace_all(name, stands_for, literal=True)
        me = pl.when(found == getuser()).then(pl.lit("ME")).otherwise(found).name.keep()
        return rows.select(pl.exclude(TIMES)).with_columns(me)

    def files(self) -> Iterator[tuple[str, str]]:
        """Path and text of every public table and exported file of every run, and of what the ledger shows of all."""
        with open_reader(self.settings) as reader:
            for view in LEDGER_VIEWS:
                rows = reader.sql(f"SELECT * FROM {view} ORDER BY ALL").pl().drop(UNREPRODUCIBLE.get(view, ()))
                yield f"ledger/{view}.csv", as_text(self.without_times(rows))
        for label, run_id in self.runs.items():
            for table in PUBLIC:
                yield f"{label}/tables/{table}.csv", as_text(self.without_times(self.table(table, run_id)))
            for folder in sorted(self.settings.export_folder.glob(f"*/{run_id}*")):
                for path in sorted(folder.rglob("*")):
                    if path.is_file():
                        name = folder.name.replace(run_id, "export")
                        yield f"{label}/{name}/{path.relative_to(folder)}", path.read_bytes().decode()


def golden_nights(folder: Path) -> GoldenNights:
    """Run them all."""
    home = Home(folder)
    first = home.night("1-first-night", FIRST)
    home.command("review", "hold", home.proposal(first, "held-back"))
    home.command("export")
    home.command("reconcile", str(_fills(home, first, folder / "fills.csv")))
    second = home.night("2-second-night", SECOND)
    home.command("review", "approve", home.proposal(second, "asks-a-person"), "--note", "looked at")
    home.command("review", "reject", home.proposal(second, "four-eyes"), "--note", "not this week")
    home.command("review", "approve", home.proposal(second, "tax-above"))
    home.command("review", "withdraw", home.proposal(second, "tax-above"), "--note", "the client called")
    home.command("export")
    corrected = home.table("quarantine", second).filter(pl.col("account_id") == "q-released-basis")
    home.command("quarantine", "release", *corrected["quarantine_id"], "--note", "the custodian corrected its cost")
    home.settings = home.settings.model_copy(update={"is_frontier_written": True, "profiles": PROFILES})
    third = home.night("3-asked-for", SECOND, *ASKED)
    home.command("review", "approve", home.proposal(third, "U1001"), home.proposal(third, "U1002"))
    home.command("export")
    return GoldenNights(home.runs, dict(home.files()))


def _fills(home: Home, run_id: str, path: Path) -> Path:
    """A broker's file: orders of some accounts filled at their reference price, one of a bond and the rest expired, all turned down."""
    folder = home.settings.export_folder / f"{FIRST}/{run_id}/accounts"
    told = {
        account: pl.read_csv(folder / f"{account}.csv", infer_schema=False) for account in (*FILLED, EXPIRED, REJECTED)
    }
    bond = told[EXPIRED].filter(pl.col("side") == "buy").with_columns(quantity=pl.lit("1"))
    parts = [
        *(_messages(told[account], "fill") for account in FILLED),
        _messages(bond, "fill"),
        _messages(told[EXPIRED], "cancelled"),
        _messages(told[REJECTED], "rejected"),
    ]
    pl.concat(parts).write_csv(path)
    return path


def _messages(orders: pl.DataFrame, kind: str) -> pl.DataFrame:
    filled = {"quantity": "quantity", "price_usd": "reference_price_usd"}
    return orders.select(
        execution_id=pl.format("{}-of-{}", pl.lit(kind), "client_order_id"),
        kind=pl.lit(kind),
        **{name: pl.col(name) for name in ("client_order_id", "account_id", "symbol", "side")},
        **{name: pl.col(column) if kind == "fill" else pl.lit("") for name, column in filled.items()},
        trade_date=pl.lit(SECOND.isoformat()),
    )


def as_text(rows: pl.DataFrame) -> str:
    """CSV; a float to twelve digits, and to nine after the point: processors may differ in the last bits."""
    floats = [name for name, dtype in rows.schema.items() if dtype == pl.Float64]
    texts = [
        pl.Series(name, [None if x is None else f"{round(x, 9) + 0.0:.12g}" for x in rows[name]], pl.String)
        for name in floats
    ]
    return rows.with_columns(texts).write_csv()
