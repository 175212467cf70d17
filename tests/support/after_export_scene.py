"""Exports that have left to two custodians and two places, and what was said of their orders since."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from schemas.exports import Delivery
from tasks.export.deliver import Deliverer, deliver_exports
from tasks.reconcile.reconcile import reconcile
from tests.support.export_scene import NOW, RUN, Scene
from tests.support.fill_scene import Desk, fill, write_fills

OTHER: Final = "harbor"
EXPORT: Final = f"{RUN}-export-1"


class TwoCustodians(Desk):
    """As ``Desk``, with a2 elsewhere, on any database, and with places that are not reached by themselves."""

    def __init__(self, home: Path, address: str = "") -> None:
        self.scene = Scene(home, custodians={"a2": OTHER}, address=address)
        self.ledger = self.scene.ledger
        self.home = home
        (home / "taken").touch()
        self.places = (
            Delivery(name="bank", url=str(home / "bank")),
            Delivery(name="archive", url=str(home / "taken" / "archive")),
            Delivery(name="oms", url=str(home / "oms")),
        )
        self.scene.prepare()
        self.scene.export_all(deliveries=self.places)

    def deliver(self) -> None:
        """The bank gets everything; the archive's folder cannot be made; nobody tries the order system."""
        by = Deliverer(ledger=self.ledger, deliveries=self.places[:2], now=lambda: NOW, wait=lambda _: None)
        deliver_exports(by)

    def later(self, *rows: dict[str, Any], hours: int, name: str = "later.csv") -> None:
        path = write_fills(self.home / name, *rows)
        reconcile(
            path,
            executions=self.ledger.executions,
            answers=self.ledger.answers,
            actor="ops",
            now=NOW + timedelta(hours=hours),
        )


def told(home: Path, address: str = "") -> TwoCustodians:
    """a1: sold one too many, its buy is turned down. a2: sold whole. -a3: silent. One id that says two things.

    Two fills of nobody's order, alike, one of which two files tell; a correction of a fill that nobody told.
    """
    desk = TwoCustodians(home, address)
    lost = (
        fill("e2", "gone", "1"),
        fill("e5", "gone", "1"),
        fill("e6", "", "2", "7.5", kind="correct", reference_id="e0"),
    )
    desk.take(fill("e1", "a1-sell", "4", "10.005", fees_usd="0.02"), *lost)
    desk.later(lost[0], hours=0, name="again.csv")
    turned_down = {"execution_id": "e3", "kind": "rejected", "client_order_id": "a1-buy"}
    desk.later(turned_down, fill("e4", "a2-sell", "3"), fill("e1", "a1-sell", "3"), hours=1)
    return desk
