"""Fill the orders of an exported folder by a simulated broker, and write what it says as one file.

The folder is all that is read of an export: it is verified first, as its receiver would. The broker is ``tasks.core.broker``; every id in the file
begins with ``SIMULATED``, by which the ledger takes it for orders of simulations alone (``warehouse/ledger/executions/simulated.py``). The file is
never put where exports or files of real brokers are; the same request writes the same bytes.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from schemas.enums import ExecutionKind, Side
from schemas.errors import WrongUsage
from schemas.units import EXACT
from tasks.core.broker import ENDINGS, ORDERS, BrokerModel, day_of, file_of
from tasks.core.facts import BPS, FORMULA_START
from tasks.export import read_manifest, verify
from tasks.runtime import explain_disk_errors, flush, make_folders, next_session, temporary_name, write_file
from tasks.simulate.market import market_of

_CELLS: Final = {
    "client_order_id": "order_id",
    "account_id": "account_id",
    "side": "side",
    "symbol": "symbol",
    "security_id": "security_id",
    "quantity": "quantity",
    "reference_price_usd": "price_usd",
}
"""Columns of ``accounts/*.csv`` that are read."""
_LOT_CELLS: Final = {
    "client_order_id": "order_id",
    "lot_id": "lot_id",
    "quantity": "quantity",
    "unit_cost_usd": "unit_cost_usd",
    "term": "term",
}
"""Columns of ``lots/*.csv`` that are read."""
_DISARMED: Final = "^'" + FORMULA_START.removeprefix("^")


@dataclass(frozen=True, slots=True)
class SimulatedFills:
    """What was written. ``cost_bps``: what fills cost beyond their reference prices, per dollar; null: nothing was filled."""

    path: Path
    trade_date: date
    orders: int
    counts: dict[str, int]
    filled: int
    cost_bps: float | None


def simulate_fills(
    folder: Path,
    *,
    model: BrokerModel,
    seed: int,
    market: Path | None,
    file_format: str,
    to: Path,
    exchange: str,
) -> SimulatedFills:
    """Fill an export's orders on the session after its as-of date.

    Parameters
    ----------
    folder
        An exported folder.
    model, seed
        How the broker fills; see ``tasks.core.broker``.
    market
        File of the market, see ``market``; null: all is assumed.
    file_format
        One of ``ENDINGS``.
    to
        Folder that the file is written into, made if missing.
    exchange
        Whose sessions count.

    Raises
    ------
    WrongUsage
        It is no exported folder, the market cannot be read, or the file is there and says something else.
    ExportBroken
        The folder is not what was exported.
    """
    verify(folder)
    manifest = read_manifest(folder)
    if "profile" in manifest:
        raise WrongUsage(
            f"{folder} is of a profile; needed the export's own folder, which has accounts/*.csv\n\nHint: name {folder.parent}."
        )
    orders = exported_orders(folder)
    if orders.is_empty():
        raise WrongUsage(f"{folder} has no orders; needed an export with some")
    trade_date = next_session(date.fromisoformat(manifest["as_of_date"]), exchange)
    reports = day_of(orders, market_of(orders, market), model, seed=seed, trade_date=trade_date)
    path = to / f"simulated-{manifest['export_id']}{ENDINGS[file_format]}"
    _write(path, file_of(reports, orders, file_format))
    return _summary(path, trade_date, orders, reports)


def exported_orders(folder: Path) -> pl.DataFrame:
    """``ORDERS`` of an exported folder, by id."""
    return _rows(folder / "accounts", _CELLS).cast(ORDERS).select(ORDERS.keys()).sort("order_id")  # type: ignore[arg-type]


def exported_lots(folder: Path) -> pl.DataFrame:
    """``order_id, lot_id, quantity, unit_cost_usd, term`` of the lots that an exported folder says its sales close, in its order."""
    return _rows(folder / "lots", _LOT_CELLS).cast({"quantity": EXACT, "unit_cost_usd": EXACT})


def _rows(folder: Path, cells: dict[str, str]) -> pl.DataFrame:
    """Rows of every file, as text without the signs that disarm it."""
    parts = [pl.read_csv(path, infer_schema=False, columns=list(cells)) for path in sorted(folder.glob("*.csv"))]
    rows = pl.concat([pl.DataFrame(schema=dict.fromkeys(cells, pl.String)), *parts]).rename(cells)
    text = pl.all()
    return rows.with_columns(pl.when(text.str.contains(_DISARMED)).then(text.str.slice(1)).otherwise(text).name.keep())


def _write(path: Path, content: bytes) -> None:
    """The file, whole or not at all; one that is there already stays if it is the same."""
    if path.exists():
        if path.read_bytes() != content:
            raise WrongUsage(
                f"{path} is there and says something else; a broker that has spoken says nothing else of the same orders\n\n"
                "Hint: pass the seed, the market and the rates of then, or another folder with --to."
            )
        return
    with explain_disk_errors(path):
        make_folders(path.parent)
        temporary = temporary_name(path)
        write_file(temporary, content)
        flush(temporary)
        temporary.rename(path)


def _summary(path: Path, trade_date: date, orders: pl.DataFrame, reports: pl.DataFrame) -> SimulatedFills:
    counts = dict(reports["kind"].value_counts().sort("kind").iter_rows())
    busted = reports.filter(kind=ExecutionKind.BUST)["reference_id"].implode()
    corrected = reports.filter(kind=ExecutionKind.CORRECT)["reference_id"].implode()
    is_fill = pl.col("kind").is_in([ExecutionKind.FILL, ExecutionKind.CORRECT])
    gone = pl.col("execution_id").is_in(busted) | pl.col("execution_id").is_in(corrected)
    standing = reports.filter(is_fill, ~gone).join(
        orders.select(client_order_id="order_id", ordered="quantity", reference="price_usd"), on="client_order_id"
    )
    sign = pl.when(pl.col("side") == Side.BUY).then(1.0).otherwise(-1.0)
    quantity, price, reference = (pl.col(name).cast(pl.Float64) for name in ("quantity", "price_usd", "reference"))
    cost, value = standing.select(
        (quantity * (price - reference) * sign).sum(), value=(quantity * reference).sum()
    ).row(0)
    whole = standing.group_by("client_order_id").agg(pl.col("quantity").sum(), pl.col("ordered").first())
    filled = whole.filter(pl.col("quantity") == pl.col("ordered")).height
    return SimulatedFills(path, trade_date, orders.height, counts, filled, BPS * cost / value if value else None)
