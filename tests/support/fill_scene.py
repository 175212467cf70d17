"""An export that has left, and files that say what became of its orders."""

import csv
from pathlib import Path
from typing import Any

from tasks.reconcile.reconcile import ReconcileResult, reconcile
from tests.support.export_scene import NOW, Scene

COLUMNS = (
    "execution_id",
    "kind",
    "client_order_id",
    "account_id",
    "symbol",
    "side",
    "quantity",
    "price_usd",
    "fees_usd",
    "trade_date",
    "reference_id",
    "lot_id",
    "lot_acquired_date",
    "lot_quantity",
    "lot_unit_cost_usd",
)


class Desk:
    """A scene that has exported a1, a2 and -a3, each selling 3 AAA at 10.25 and buying 2 =BB; files are read as of ``NOW``."""

    def __init__(self, home: Path, address: str = "", *, is_simulation: bool = False) -> None:
        self.scene = Scene(home, address=address, is_simulation=is_simulation).prepare()
        self.scene.export_all()
        self.ledger = self.scene.ledger
        self.home = home

    def file(self, *rows: dict[str, Any], name: str = "fills.csv") -> Path:
        return write_fills(self.home / name, *rows)

    def take(self, *rows: dict[str, Any], name: str = "fills.csv", **options: Any) -> ReconcileResult:
        return reconcile(
            self.file(*rows, name=name),
            executions=self.ledger.executions,
            answers=self.ledger.answers,
            actor="ops",
            now=NOW,
            **options,
        )

    def states(self) -> dict[str, tuple[str, str]]:
        """State and quantity filled, by order that anything was said about."""
        found = self.ledger.answers.states_of(self.ledger.answers.sent_orders()["order_id"])
        rows = found.select("order_id", "state", "filled_quantity").iter_rows()
        return {name: (state, f"{filled.normalize():f}") for name, state, filled in rows}

    @property
    def blocks(self) -> dict[str, str]:
        """Block of each side."""
        return dict(self.ledger.answers.sent_orders().select("side", "block_id").unique().iter_rows())


def fill(name: str, order: str, quantity: str, price: str = "10", **other: Any) -> dict[str, Any]:
    side = "sell" if "sell" in order else "buy"
    basic = {"execution_id": name, "kind": "fill", "client_order_id": order, "quantity": quantity, "price_usd": price}
    return basic | {"side": side, "trade_date": "2026-03-03"} | other


def write_fills(path: Path, *rows: dict[str, Any]) -> Path:
    """A CSV file of executions."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path
