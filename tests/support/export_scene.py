"""A run ready to export, on the real ledger; as a script, a process that races another to export it."""

import hashlib
import json
import os
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from schemas.enums import Role, Route, RunKind
from schemas.run import RunRef
from schemas.stored import TABLES
from tasks.core.export import content_hashes
from tasks.export.export import ExportResult, export_run
from tasks.export.export_all import ExportedRuns, export_all
from tasks.export.packages import Exporter
from tasks.runtime.stores import current_actor
from warehouse.lake.lake import Lake
from warehouse.ledger import Decision, ExportState, Ledger, NewRun
from warehouse.ledger.review.proposals import NONE_AHEAD

RUN = "2026-03-02-nightly-0123456789ab"
AS_OF = date(2026, 3, 2)
NOW = datetime(2026, 3, 3, 1, tzinfo=UTC)
ACCOUNTS = ("a1", "a2", "-a3", "b4")
CUSTODIAN = "Acme, Inc"
ONE_CUSTODIAN: Mapping[str, str] = MappingProxyType({})
WAITING = "b4"
"""The account whose proposal waits for a person; policy approves the others."""
POINTS = ("claimed", "files", "files", "files", "manifest", "flushed", "renamed", "placed", "published")
"""Calls of the checkpoint in an undisturbed export: accounts, lots and blocks are a group of files each."""


class Interrupted(Exception):
    """Stands for any crash that Python still sees."""


@dataclass(frozen=True)
class MemoryLake(Lake):
    """Tables of one run, and no connection: no fill is told in these scenes, and nothing else of the lake is asked for."""

    tables: dict[str, pl.DataFrame]

    def read(self, table: str, run_id: str, shard: int | None = None, columns: tuple[str, ...] = ()) -> pl.DataFrame:
        assert (run_id, shard, columns) == (RUN, None, ())
        return self.tables[table]


def table(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    schema = {column: kind for column, kind in TABLES[name].items() if column not in {"run_id", "as_of_date", "shard"}}
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in rows], schema=schema)


def orders_of(account: str) -> list[dict[str, Any]]:
    return [
        {
            "order_id": f"{account}-{side}",
            "proposal_id": f"p-{account}",
            "account_id": account,
            "side": side,
            "security_id": security,
            "symbol": symbol,
            "quantity": Decimal(quantity),
            "price_usd": Decimal("10.25"),
            "value_usd": quantity * Decimal("10.25"),
            "reason": "drift",
        }
        for side, security, symbol, quantity in (("buy", "s2", "=BB", 2), ("sell", "s1", "AAA", 3))
    ]


@cache
def hash_of(account: str) -> str:
    """Made once a process: what is forked from it cannot group frames."""
    return str(content_hashes(table("orders", orders_of(account)))["content_hash"].item())


def lake_of(accounts: tuple[str, ...] = ACCOUNTS, custodians: Mapping[str, str] = ONE_CUSTODIAN) -> MemoryLake:
    """Each account sells three of AAA out of two lots and buys two of =BB."""
    lots = [
        {"order_id": f"{account}-sell", "account_id": account, "security_id": "s1", "lot_id": lot, "quantity": quantity}
        for account in accounts
        for lot, quantity in (("l1", Decimal(1)), ("l2", Decimal(2)))
    ]
    return MemoryLake(
        {
            "orders": table("orders", [row for account in accounts for row in orders_of(account)]),
            "lot_relief": table("lot_relief", lots),
            "proposals": table("proposals", [{"proposal_id": f"p-{a}", "content_hash": hash_of(a)} for a in accounts]),
            "landed_accounts": table(
                "landed_accounts",
                [
                    {"account_id": a, "custodian": custodians.get(a, CUSTODIAN), "tax_status": "taxable"}
                    for a in accounts
                ],
            ),
            "landed_securities": table(
                "landed_securities",
                [
                    {"security_id": name, "symbol": symbol, "security_type": "etf", "quantity_step": Decimal(1)}
                    for name, symbol in (("s1", "AAA"), ("s2", "=BB"))
                ],
            ),
        }
    )


def routed(
    accounts: tuple[str, ...] = ACCOUNTS,
    custodians: Mapping[str, str] = ONE_CUSTODIAN,
    households: Mapping[str, str] = ONE_CUSTODIAN,
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "proposal_id": [f"p-{account}" for account in accounts],
            "account_id": accounts,
            "custodian": [custodians.get(account, CUSTODIAN) for account in accounts],
            "content_hash": [hash_of(account) for account in accounts],
            "triggers": "drift",
            "route": [Route.REVIEW if account == WAITING else Route.AUTO for account in accounts],
            "route_reasons": "",
            "look_reasons": "",
            "priority": 5,
            "nav_usd": Decimal(1000),
            "gross_value_usd": Decimal("51.25"),
            "turnover": 0.02,
            "one_way_drift_before": 0.06,
            "one_way_drift_after": 0.01,
            "gap_bps": 0.01,
            "est_tax_usd": Decimal(0),
            "est_cost_usd": Decimal(0),
            "order_count": 2,
            "model_hash": "m",
            "approvals_needed": 1,
            "ttl_hours": 20.0,
            "household_id": pl.Series([households.get(account) for account in accounts], dtype=pl.String),
        }
    )


@dataclass
class Scene:
    """A run that is done, with three proposals approved and one waiting."""

    home: Path
    custodians: Mapping[str, str] = field(default_factory=dict)
    """Of accounts that are not at ``CUSTODIAN``."""
    households: Mapping[str, str] = field(default_factory=dict)
    """Of accounts that are managed together."""
    moment: datetime = NOW
    """When the night was."""
    address: str = ""
    """Of the ledger; empty: SQLite in the home."""
    is_simulation: bool = False

    def __post_init__(self) -> None:
        self.lake = lake_of(custodians=self.custodians)
        address = self.address or f"sqlite:///{self.home / 'ledger.sqlite'}"
        self.ledger = Ledger.open(address, owner="ops", now=self.moment)
        weakref.finalize(self, self.ledger.close)  # with the scene, which every test makes for itself

    def prepare(self, cut_offs: Mapping[str, datetime] = NONE_AHEAD, *, is_owned_here: bool = False) -> "Scene":
        """``is_owned_here``: the operating-system user may export too."""
        if is_owned_here:
            self.ledger.users.add_user(current_actor(), {Role.RELEASER}, actor="ops", now=self.moment)
        new = NewRun(RUN, AS_OF, RunKind.NIGHTLY, "night", "i", "c", "s", is_simulation=self.is_simulation)
        self.ledger.runs.start_run(new, self.moment)
        proposals = routed(custodians=self.custodians, households=self.households)
        self.ledger.proposals.route_proposals(RUN, proposals, pl.Series(ACCOUNTS), self.moment, cut_offs)
        self.ledger.runs.finish_run(RUN, {}, self.moment)
        return self

    def load(self, lake: Lake) -> None:
        """Put the scene's tables into a real lake."""
        lake.replace(RunRef(RUN, AS_OF, RunKind.NIGHTLY, 1), 0, self.lake.tables)

    @property
    def exports(self) -> Path:
        return self.home / "exports"

    @property
    def final(self) -> Path:
        return self.exports / "2026-03-02" / RUN

    def export(self, checkpoint: Callable[[str], None] = lambda _: None, actor: str = "ops") -> ExportResult | None:
        by = self.exporter(NOW, actor=actor, checkpoint=checkpoint)
        return export_run(RUN, by, [by.plan])

    def export_all(self, now: datetime = NOW, *, custodians: Collection[str] = (), **options: Any) -> ExportedRuns:
        return export_all(self.exporter(now, **options), custodians=custodians)

    def exporter(self, now: datetime = NOW, **options: Any) -> Exporter:
        own = {"lake": self.lake, "ledger": self.ledger, "export_folder": self.exports, "actor": "ops", "now": now}
        return Exporter(**{**own, **options})

    def approve_the_waiting(self) -> None:
        self.ledger.decisions.decide(
            [f"p-{WAITING}"], decision=Decision.APPROVE, actor="ops", note="", content_hashes=None, now=NOW
        )

    def states(self) -> dict[str, str]:
        return dict(self.ledger.proposals.list_proposals().select("account_id", "state").rows())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def crash_at(call: int, crash: Callable[[], None]) -> Callable[[str], None]:
    """A checkpoint that crashes at its n-th call, counted from 0."""
    calls = iter(range(call + 1))

    def checkpoint(_point: str) -> None:
        if next(calls) == call:
            crash()

    return checkpoint


def interrupt() -> None:
    raise Interrupted


def assert_exported_once(scene: Scene, undisturbed: dict[str, bytes]) -> None:
    assert contents(scene.exports) == undisturbed
    (export,) = scene.ledger.exports.exports_of(RUN)
    assert export.state == ExportState.PUBLISHED
    assert export.manifest_sha256 == hashlib.sha256((scene.final / "manifest.json").read_bytes()).hexdigest()
    left = [row.proposal_id for row in scene.ledger.audit.audit_rows() if row.event == "exported" and row.proposal_id]
    assert sorted(left) == ["p--a3", "p-a1", "p-a2"]
    assert scene.export() is None
    scene.ledger.audit.verify_audit()


def exporter(*arguments: str | Path) -> "subprocess.Popen[str]":
    """This file as a process of its own: ``<name> <home> ...``."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def meet(home: Path, name: str) -> Callable[[str], None]:
    """A checkpoint that waits, before the rename, until both racers have written everything."""

    def checkpoint(point: str) -> None:
        if point == "flushed":
            (home / f"{name}.ready").touch()
            deadline = time.monotonic() + 60
            while len(list(home.glob("*.ready"))) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)

    return checkpoint


def race(name: str, homes: list[Path]) -> None:
    for home in homes:
        result = Scene(home).export(meet(home, name))
        assert result is not None
        print(json.dumps({"is_published_here": result.is_published_here, "manifest_sha256": result.manifest_sha256}))


if __name__ == "__main__":
    race(sys.argv[1], [Path(home) for home in sys.argv[2:]])
